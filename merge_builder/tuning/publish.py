"""Write a tuned ladder: the untuned one with some merged versions made anew, and where they come from."""

import hashlib
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from merge_builder.card import ladder_card
from merge_builder.checkpoints import TensorWriter
from merge_builder.checkpoints.files import write_atomic
from merge_builder.checkpoints.new_folder import new_folder
from merge_builder.ladder.additions import Tuned
from merge_builder.ladder.manifest import Manifest, MethodUse, Version
from merge_builder.ladder.store import CARD, Ladder, group_id, open_ladder, version_path, write_manifest
from merge_builder.tuning.candidate import Candidate
from merge_builder.tuning.material import Material, Place


def publish(material: Material, out: Path, settled: Mapping[Place, Candidate], tuned: Sequence[Tuned]) -> Ladder:
    """Write `material`'s ladder into the new folder `out`, with the `settled` versions made by their candidates.

    What stays is linked, or copied where the file system has no links. Scores are left out: they are of other weights.
    The folder appears whole or not at all.

    Raises:
        InputError: `out` exists already.
        MergeLadderError: writing failed.
    """
    source = material.ladder
    with new_folder(out) as folder:
        replaced = {(p.version.block, p.version.id): _new_version(material, p, c) for p, c in settled.items()}
        _copy(source, folder, {source.version_path(place.version) for place in settled})
        versions = []
        for place, candidate in settled.items():
            version = replaced[place.version.block, place.version.id]
            digest = _write(material, place, candidate, version_path(folder, version.block, version.id))
            replaced[place.version.block, place.version.id] = version.model_copy(update={"sha256": digest})
        versions = [replaced.get((v.block, v.id), v) for v in source.manifest.versions]
        manifest = _manifest(source.manifest, versions, tuned)
        write_atomic(folder / CARD, ladder_card(manifest).encode())
        write_manifest(folder, manifest)
    return open_ladder(out)


def _new_version(material: Material, place: Place, candidate: Candidate) -> Version:
    use = MethodUse(name="tuned", parameters=dict(candidate.genes))
    return place.version.model_copy(update={"id": group_id((material.tasks[k] for k in place.group), use)})


def _copy(ladder: Ladder, folder: Path, left_out: set[Path]) -> None:
    def ignore(path: str, names: list[str]) -> list[str]:
        return [name for name in names if Path(path) / name in left_out]

    shutil.copytree(ladder.root, folder, copy_function=link, ignore=ignore, dirs_exist_ok=True)


def link(source: str, target: str) -> None:
    """Link a file, or copy it where the file system has no links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _write(material: Material, place: Place, candidate: Candidate, path: Path) -> str:
    formula = candidate.at(place.version.block, place.group)
    assert formula is not None, "a settled version has a formula"
    specs = material.blocks[place.version.block].specs(place.group, "merged")
    with TensorWriter(path, specs) as writer:
        for values in material.merge(place, formula).values():
            writer.write(values)
        return writer.finish()


def _manifest(manifest: Manifest, versions: Sequence[Version], tuned: Sequence[Tuned]) -> Manifest:
    hashes = "".join(version.sha256 for version in versions)
    revision = hashlib.sha256(f"{manifest.revision}{hashes}".encode()).hexdigest()[:12] if tuned else manifest.revision
    update = {"versions": tuple(versions), "tuned": tuple(tuned), "revision": revision, "scores": (), "int8_scores": ()}
    return manifest.model_copy(update=update)
