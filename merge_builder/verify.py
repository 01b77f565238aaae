"""Check a ladder against its manifest: every hash, every pointer, every size."""

from collections.abc import Iterator

from merge_builder.checkpoints.files import sha256_of
from merge_builder.checkpoints.tensor_file import TensorFile
from merge_builder.errors import InputError
from merge_builder.ladder.manifest import Manifest
from merge_builder.ladder.masked import masked_specs
from merge_builder.ladder.rungs import rung_table
from merge_builder.ladder.store import CARD, MANIFEST, Ladder, manifest_bytes, open_ladder, seal
from merge_builder.methods import find_method
from merge_builder.progress import Progress, silent


def verify(ladder: Ladder, progress: Progress = silent) -> list[str]:
    """Every problem found, each naming the file or the field; an empty list means the ladder is sound."""
    problems = list(_pointer_problems(ladder.manifest))
    stored = open_ladder(ladder.root).manifest  # scores may have been added since `ladder` was opened
    if (ladder.root / MANIFEST).read_bytes() != manifest_bytes(seal(stored)):
        problems.append(f"{MANIFEST}: its bytes have changed (the checksum differs): build the ladder again")
    expected = {ladder.base_dir / name: digest for name, digest in ladder.manifest.base.files.items()}
    expected |= {ladder.head_path(task.name): task.head.sha256 for task in ladder.manifest.tasks}
    expected |= {ladder.version_path(version): version.sha256 for version in ladder.manifest.versions}
    if ladder.manifest.router is not None:
        expected[ladder.router_path] = ladder.manifest.router.sha256
    for done, (path, digest) in enumerate(expected.items()):
        progress("verifying", done, len(expected), "files")
        name = path.relative_to(ladder.root)
        try:
            if sha256_of(path) != digest:
                problems.append(f"{name}: its bytes have changed (sha256 differs): build the ladder again")
        except OSError as error:
            problems.append(f"{name}: {error.strerror}")
    progress("verifying", len(expected), len(expected), "files")
    # The card repeats the manifest for people, who may edit it: nothing reads it.
    apart = {ladder.root / MANIFEST, ladder.root / CARD}
    present = {path for path in ladder.root.rglob("*") if path.is_file() and path not in apart}
    problems += [f"{p.relative_to(ladder.root)}: not part of this ladder" for p in sorted(present - expected.keys())]
    problems += list(_size_problems(ladder))
    return problems


def _pointer_problems(manifest: Manifest) -> Iterator[str]:
    tasks = {task.name for task in manifest.tasks}
    known = {(v.block, frozenset(v.tasks)): v for v in manifest.versions}
    # A stack of layers (tuning.depth) is shared by all tasks from the first: nothing is merged along a trace.
    one_rung = all(len(version.tasks) == len(tasks) for version in manifest.versions)
    first = {frozenset(tasks)} if one_rung else {frozenset((task,)) for task in tasks}
    groups = {block.name: set(first) for block in manifest.blocks}
    steps = len(manifest.blocks) * (len(first) - 1)
    if len(manifest.trace) != steps or len(manifest.rungs) != steps + 1:
        yield f"{MANIFEST}: {steps} merges make the whole ladder, but the trace has {len(manifest.trace)}"
        return
    needed = {(block, group) for block, alone in groups.items() for group in alone}
    for step in manifest.trace:
        left, right = frozenset(step.left), frozenset(step.right)
        if not {left, right} <= groups.get(step.block, set()):
            yield f"{MANIFEST}: step {step.step} merges groups that do not exist in {step.block!r} at that point"
            return
        groups[step.block] = groups[step.block] - {left, right} | {left | right}
        needed.add((step.block, left | right))
    if find_method(manifest.method.name).masked:
        # Where masks would not save anything, a group's members keep what they used before.
        needed = {at for at in needed if len(at[1]) == 1}
        needed |= {(v.block, frozenset()) for v in manifest.versions if v.kind == "masked"}
    missing = needed - known.keys()
    for block, group in sorted(missing, key=str):
        yield f"{MANIFEST}: no stored version of {block!r} for {', '.join(sorted(group)) or 'the base'}"
    if not missing:
        beside = sum(task.head.bytes for task in manifest.tasks) + (manifest.router.bytes if manifest.router else 0)
        table = rung_table(manifest.blocks, manifest.versions, manifest.trace, beside)
        if table != manifest.rungs:
            yield f"{MANIFEST}: the rung table does not agree with the stored versions"


def _size_problems(ladder: Ladder) -> Iterator[str]:
    blocks = {block.name: block for block in ladder.manifest.blocks}
    for version in ladder.manifest.versions:
        path = ladder.version_path(version)
        try:
            file = TensorFile(path)
        except InputError as error:
            if path.exists():
                yield str(error)
            continue
        expected = blocks[version.block].tensors
        if version.kind == "masked":
            expected = masked_specs(expected, len(version.tasks))
        shapes = {name: tensor.shape for name, tensor in file.tensors.items()}
        size = sum(tensor.nbytes for tensor in file.tensors.values())
        file.close()
        if shapes != {tensor.name: tensor.shape for tensor in expected}:
            yield f"{path.relative_to(ladder.root)}: its tensors are not those of block {version.block!r}"
        if size != version.bytes:
            yield f"{path.relative_to(ladder.root)}: {size} bytes of tensors, the manifest tells {version.bytes}"
