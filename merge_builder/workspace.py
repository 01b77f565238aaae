"""The folder a build writes into: it is no ladder until its manifest is there, and a killed build goes on.

The inputs' fingerprint is written first. A later run with the same fingerprint keeps every file that is whole
(files get their names only when they are); with another fingerprint it refuses.
"""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from merge_builder.checkpoints.files import sync_folder, write_atomic
from merge_builder.errors import InputError
from merge_builder.ladder.manifest import Manifest
from merge_builder.ladder.store import MANIFEST, Ladder, open_ladder, write_manifest

STATE = ".build.json"


def fingerprint(document: dict[str, Any]) -> str:
    """A hash of everything that determines the ladder's bytes."""
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def claim(out: Path, inputs: str) -> Ladder | None:
    """Make `out` the workspace of a build whose inputs have the fingerprint `inputs`; its ladder, if it is done.

    Raises:
        InputError: the folder holds something else: a ladder that was tuned or is of other inputs, files of others, or
            a build of other inputs.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        if (out / MANIFEST).exists():
            ladder = open_ladder(out)
            if fingerprint(ladder.manifest.provenance.model_dump(mode="json")) != inputs:
                raise InputError(f"{out} already holds a ladder of other inputs: remove it or choose another folder")
            if ladder.manifest.tuned:
                raise InputError(f"{out} holds a ladder of these inputs that was tuned since: choose another folder")
            (out / STATE).unlink(missing_ok=True)
            return ladder
        if (out / STATE).exists():
            if json.loads((out / STATE).read_bytes())["inputs"] != inputs:
                raise InputError(
                    f"{out} holds an unfinished build of other inputs (the recipe or a checkpoint has changed since): "
                    "remove the folder or choose another"
                )
            return None
        if any(path.name != f".{STATE}.partial" for path in out.iterdir()):
            raise InputError(f"{out} is not empty and holds no build: choose an empty or a new folder")
        write_atomic(out / STATE, json.dumps({"inputs": inputs}).encode())
        return None
    except NotADirectoryError as error:
        raise InputError(f"{out} is not a folder") from error
    except FileExistsError as error:
        raise InputError(f"{out} is a file, not a folder") from error
    except PermissionError as error:
        raise InputError(f"cannot write into {out}: {error.strerror}") from error


def publish(out: Path, manifest: Manifest) -> Ladder:
    """Turn the workspace into a ladder: every name is made durable first, the manifest comes last."""
    for folder, _, _ in os.walk(out):
        sync_folder(Path(folder))
    sealed = write_manifest(out, manifest)
    (out / STATE).unlink()
    return Ladder(out, sealed)
