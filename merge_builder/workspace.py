"""The folder a build writes into: it is no ladder until its manifest is there, and a killed build goes on.

The inputs' fingerprint is written first. A later run with the same fingerprint keeps every file that is whole
(files get their names only when they are); with another fingerprint it refuses.
"""

import errno
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
_PARTIAL = f".{STATE}.partial"


def fingerprint(document: dict[str, Any]) -> str:
    """A hash of everything that determines the ladder's bytes."""
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def check_free(out: Path, recipe: dict[str, Any]) -> None:
    """Refuse at once what `claim` would refuse after all inputs were read, as far as `recipe` tells; make nothing.

    Raises:
        InputError: as `claim`, or nothing can be written there.
    """
    if (out / MANIFEST).exists():
        if open_ladder(out).manifest.provenance.recipe != recipe:
            raise _other_inputs(out)
        return
    there = next(path for path in (out, *out.absolute().parents) if path.exists())
    if not there.is_dir():
        raise InputError(f"{there} is a file, not a folder")
    if there == out and not (out / STATE).exists() and any(path.name != _PARTIAL for path in out.iterdir()):
        raise InputError(f"{out} is not empty and holds no build: choose an empty or a new folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise InputError(f"cannot write into {there}: {os.strerror(errno.EACCES)}")


def claim(out: Path, inputs: str) -> Ladder | None:
    """Make `out`, which `check_free` passed, the workspace of a build whose inputs have the fingerprint `inputs`; its
    ladder, if it is done.

    Raises:
        InputError: the folder holds something else: a ladder that was tuned or is of other inputs, or a build of other
            inputs.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        if (out / MANIFEST).exists():
            ladder = open_ladder(out)
            if fingerprint(ladder.manifest.provenance.model_dump(mode="json")) != inputs:
                raise _other_inputs(out)
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
        write_atomic(out / STATE, json.dumps({"inputs": inputs}).encode())
        return None
    except (FileExistsError, NotADirectoryError) as error:
        raise InputError(f"{out} is not a folder") from error
    except PermissionError as error:
        raise InputError(f"cannot write into {out}: {error.strerror}") from error


def _other_inputs(out: Path) -> InputError:
    return InputError(f"{out} already holds a ladder of other inputs: remove it or choose another folder")


def publish(out: Path, manifest: Manifest) -> Ladder:
    """Turn the workspace into a ladder: every name is made durable first, the manifest comes last."""
    for folder, _, _ in os.walk(out):
        sync_folder(Path(folder))
    sealed = write_manifest(out, manifest)
    (out / STATE).unlink()
    return Ladder(out, sealed)
