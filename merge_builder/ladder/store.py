"""A ladder's folder: where each stored thing lies, and how a ladder is opened.

ladder = open_ladder("ladder/")
ladder.version_path(version)
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from merge_builder.checkpoints.files import write_atomic
from merge_builder.errors import InputError
from merge_builder.ladder.manifest import Manifest, MethodUse, Version

MANIFEST = "ladder.json"
CARD = "README.md"
ROUTER = "router.safetensors"
BASE_ID = "base"


@dataclass(frozen=True)
class Ladder:
    """An opened ladder: its folder and its manifest. Every path is derived from names the schema has checked."""

    root: Path
    manifest: Manifest

    @property
    def name(self) -> str:
        """The folder's own name: the manifest holds none, so that equal inputs give equal bytes anywhere."""
        return self.root.resolve().name

    @property
    def base_dir(self) -> Path:
        """config.json and the tokenizer or image-processor files of the base, byte for byte."""
        return self.root / "base"

    def version_path(self, version: Version) -> Path:
        """The file of one version of one block."""
        return version_path(self.root, version.block, version.id)

    def head_path(self, task: str) -> Path:
        """The file of one task's head."""
        return head_path(self.root, task)

    @property
    def router_path(self) -> Path:
        """The file of the router, where there is one."""
        return self.root / ROUTER


def version_path(root: Path, block: str, group: str) -> Path:
    """`blocks/<block>/<group id>.safetensors` under `root`."""
    return root / "blocks" / block / f"{group}.safetensors"


def head_path(root: Path, task: str) -> Path:
    """`heads/<task>.safetensors` under `root`."""
    return root / "heads" / f"{task}.safetensors"


def group_id(tasks: Iterable[str], method: MethodUse) -> str:
    """The id of a group: of its member tasks and, where weights are merged, of the method; of no tasks, the base's."""
    members = sorted(tasks)
    if not members:
        return BASE_ID
    text = MethodUse(name="expert", parameters={}) if len(members) == 1 else method
    return hashlib.sha256(f"{members}{text.model_dump_json()}".encode()).hexdigest()[:16]


def write_manifest(root: Path, manifest: Manifest) -> Manifest:
    """Write `ladder.json` atomically, sealed with the checksum of its content; returns what was written."""
    sealed = seal(manifest)
    write_atomic(root / MANIFEST, manifest_bytes(sealed))
    return sealed


def seal(manifest: Manifest) -> Manifest:
    """The manifest with the checksum of all else in it."""
    content = manifest.model_copy(update={"checksum": None}).model_dump_json()
    return manifest.model_copy(update={"checksum": hashlib.sha256(content.encode()).hexdigest()})


def manifest_bytes(manifest: Manifest) -> bytes:
    """What `ladder.json` holds for this manifest."""
    return manifest.model_dump_json(indent=1).encode() + b"\n"


def open_ladder(path: Path | str) -> Ladder:
    """Open the ladder at `path`.

    Raises:
        InputError: there is no manifest (an unfinished build has none), it is of another format version,
            or it does not fit the schema.
    """
    root = Path(path)
    try:
        text = (root / MANIFEST).read_bytes()
    except OSError as error:
        hint = "the build there did not finish; run it again" if (root / "blocks").is_dir() else "build one first"
        raise InputError(f"{root} is not a ladder: it has no readable {MANIFEST} ({hint})") from error
    try:
        return Ladder(root, Manifest.model_validate_json(text))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        hint = "this program reads format_version 1" if where == "format_version" else first["msg"]
        raise InputError(f"{root / MANIFEST} is not a valid manifest: {where}: {hint}") from error
