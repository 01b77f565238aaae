"""The README.md of a ladder."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from merge_builder.card.sections import front_matter, hub_name, method_section, sources_section, table
from merge_builder.checkpoints.files import write_atomic
from merge_builder.errors import InputError
from merge_builder.ladder.additions import Score
from merge_builder.ladder.budget import format_bytes, select
from merge_builder.ladder.manifest import Manifest, RungSize
from merge_builder.ladder.store import CARD

_SIZES = (1, 1.5, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96)


def ladder_card(manifest: Manifest) -> str:
    """The card of the ladder that `manifest` describes, as Markdown."""
    tasks = [task.name for task in manifest.tasks]
    largest, smallest = manifest.rungs[0], min(manifest.rungs, key=lambda rung: rung.bytes)
    return "\n".join(
        (
            front_matter(manifest, "mergeladder", tasks),
            f"# A ladder of {len(tasks)} tasks\n",
            f"{len(manifest.rungs)} sizes of {len(tasks)} fine-tuned `{manifest.base.model_type}` models merged into "
            f"each other, from {smallest.ratio:.2f}x ({format_bytes(smallest.bytes)}) to {largest.ratio:.2f}x "
            f"({format_bytes(largest.bytes)}, the experts themselves). Every size serves every task.\n",
            f"```sh\nmergeladder inspect .\nmergeladder export . --task {tasks[0]} --rung 2.0 {tasks[0]}-2x\n```\n",
            _sizes_section(manifest),
            method_section(manifest),
            *_tuned_section(manifest),
            sources_section(manifest, tasks),
            _build_section(manifest),
        )
    )


def refresh_card(root: Path, before: Manifest, after: Manifest) -> None:
    """Bring the card in the folder `root` from what `before` tells to what `after` tells; an edited one is left."""
    path = root / CARD
    if path.is_file() and path.read_bytes() == ladder_card(before).encode():
        write_atomic(path, ladder_card(after).encode())


def _sizes_section(manifest: Manifest) -> str:
    scores = {(score.rung, score.task): score for score in manifest.scores}
    evaluated = [task.name for task in manifest.tasks if any(found == task.name for _, found in scores)]
    rows = []
    for rung in _told(manifest):
        found = [scores.get((rung.index, task)) for task in evaluated]
        cells = [_mean(found), *map(_accuracy, found)] if evaluated else []
        rows.append((f"{rung.ratio:.2f}x", f"#{rung.index}", format_bytes(rung.bytes), *cells))
    head = ["size", "rung", "memory", *(["mean", *(f"`{task}`" for task in evaluated)] if evaluated else [])]
    told = "".join(f", of `{task}` {metric}" for task, metric in _other_metrics(manifest).items())
    note = (
        f"Accuracy{told} in percent, with its 95 % bootstrap interval, on the rows that the ladder was evaluated on."
        if evaluated
        else "Not evaluated yet: `mergeladder evaluate` writes the scores in here."
    )
    return f"## Sizes\n\n{table(head, rows)}\n{note}\n"


def _other_metrics(manifest: Manifest) -> dict[str, str]:
    return {score.task: score.measured for score in manifest.scores if score.metric != "accuracy"}


def _told(manifest: Manifest) -> list[RungSize]:
    """The evaluated rungs and some sizes in between, the smallest first."""
    told = {manifest.rungs[0], manifest.rungs[-1], *(manifest.rungs[score.rung] for score in manifest.scores)}
    for size in _SIZES:
        try:
            told.add(select(manifest, str(size)))
        except InputError:
            continue  # smaller than the smallest
    return sorted(told, key=lambda rung: (rung.bytes, -rung.index))


def _mean(scores: Sequence[Score | None]) -> str:
    known = [score.accuracy for score in scores if score is not None]
    return f"{100 * sum(known) / len(known):.1f}" if len(known) == len(scores) else "–"


def _accuracy(score: Score | None) -> str:
    if score is None:
        return "–"
    low, high = score.interval
    return f"{100 * score.accuracy:.1f} ({100 * low:.1f}–{100 * high:.1f})"


def _tuned_section(manifest: Manifest) -> list[str]:
    if not manifest.tuned:
        return []
    rows = [
        (
            f"{manifest.rungs[own.rung].ratio:.2f}x",
            f"#{own.rung}",
            own.tuner,
            f"{100 * own.untuned:.1f}",
            f"{100 * own.tuned:.1f}",
        )
        for own in manifest.tuned
    ]
    head = ("size", "rung", "tuner", "untuned", "tuned")
    note = (
        "A search with labelled rows has made merged versions of these rungs. Mean over the tasks, in percent of the "
        "experts', on rows that it never saw; rungs near them share some of the versions."
    )
    return [f"## Tuned\n\n{table(head, rows)}\n{note}\n"]


def _build_section(manifest: Manifest) -> str:
    recipe = _for_others(manifest.provenance.recipe)
    libraries = ", ".join(f"{name} {version}" for name, version in manifest.provenance.libraries.items())
    text = yaml.safe_dump(recipe, sort_keys=False, allow_unicode=True)
    command = f"`mergeladder build recipe.yaml ladder` ({libraries})"
    return f"## Built by\n\n{command}, where recipe.yaml is\n\n```yaml\n{text}```\n"


def _for_others(recipe: dict[str, Any]) -> dict[str, Any]:
    """The recipe without what it leaves to defaults, and without this machine's folders."""
    told: dict[str, Any] = {}
    for key, value in recipe.items():
        if isinstance(value, dict):
            told[key] = _for_others(value)
        elif value is not None:
            told[key] = hub_name(value) if key in ("base", "model") else value
    return told
