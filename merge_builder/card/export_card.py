"""The README.md of an exported model."""

from merge_builder.card.sections import front_matter, method_section, sources_section
from merge_builder.ladder.manifest import Manifest, RungSize
from merge_builder.ladder.rungs import Rung, rung_at


def export_card(manifest: Manifest, task: str, size: RungSize, command: str) -> str:
    """The card of the model that the rung `size` serves `task` with, as Markdown; `command` is what exported it."""
    rung = rung_at(manifest, size.index)
    members = _members(manifest, rung, task)
    config = next(entry.config for entry in manifest.tasks if entry.name == task)
    name = next(iter(config.get("architectures") or ()), "AutoModel")
    return "\n".join(
        (
            front_matter(manifest, "transformers", members),
            f"# {task} at {size.ratio:.2f}x\n",
            f"The model that rung #{size.index} of a ladder of {len(manifest.tasks)} tasks serves `{task}` with. "
            f"{_sharing(rung, task)}{_score(manifest, size, task)}\n",
            f'```python\nfrom transformers import {name}\n\nmodel = {name}.from_pretrained(".")\n```\n',
            method_section(manifest),
            sources_section(manifest, members),
            f"## Made by\n\n`{command}`\n",
        )
    )


def _members(manifest: Manifest, rung: Rung, task: str) -> list[str]:
    """The tasks whose experts are in some block of the model, in the ladder's order."""
    members = {member for versions in rung.versions.values() for member in versions[task].tasks}
    return [entry.name for entry in manifest.tasks if entry.name in members]


def _sharing(rung: Rung, task: str) -> str:
    shared = sum(len(versions[task].tasks) > 1 for versions in rung.versions.values())
    if shared == 0:
        return "Every block is the expert's own, bit for bit."
    return f"{shared} of its {len(rung.versions)} blocks are merged with other tasks'; its head is its own."


def _score(manifest: Manifest, size: RungSize, task: str) -> str:
    scores = {score.rung: score for score in manifest.scores if score.task == task}
    if size.index not in scores:
        return ""
    here = scores[size.index]
    low, high = here.interval
    expert = f"; the expert itself: {100 * scores[0].accuracy:.1f} %" if 0 in scores and size.index != 0 else ""
    return (
        f" {here.measured[0].upper()}{here.measured[1:]} on {here.rows} rows: {100 * here.accuracy:.1f} % "
        f"(95 % bootstrap interval {100 * low:.1f}–{100 * high:.1f} %){expert}."
    )
