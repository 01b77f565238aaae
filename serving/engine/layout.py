"""What a rung means for the rows of a batch: where tasks part, and in which order their rows lie. Pure data.

A model is a row of *stages*: embeddings, one per layer, tail (which begins in the last layer, behind its attention). At
a stage the leaves of the model read their weights from *units*: the blocks that one leaf draws on, nearly always a
single one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Unit = tuple[str, ...]
VersionIds = tuple[str, ...]
# An integer per task. Two tasks with the same one are alike in the sense that the field's comment tells.
Classes = Mapping[str, int]


@dataclass(frozen=True)
class StageLayout:
    """One stage of one rung.

    `branch`: tasks alike have shared every block so far, this stage included, so they still share their rows.
    `rank`: tasks alike use the same versions at this stage; rows lie in the order of their rank.
    `versions[unit][rank]`: the version of each of the unit's blocks.
    `merges`: how many tokens of a row become one at this stage.
    """

    branch: Classes
    rank: Classes
    versions: Mapping[Unit, tuple[VersionIds, ...]]
    merges: int = 1


def lay_out(
    stages: Sequence[Sequence[Unit]],
    versions: Mapping[str, Mapping[str, str]],
    block_bytes: Mapping[str, int],
    merges: Mapping[int, int] | None = None,
) -> tuple[StageLayout, ...]:
    """The layout of every stage, given the units of each, and a rung as `versions[block][task]` = version id.

    `merges` has, by their numbers, the stages at which several tokens become one.
    """
    tasks = list(next(iter(versions.values())))
    branch = dict.fromkeys(tasks, 0)
    layouts = []
    for number, units in enumerate(stages):
        blocks = sorted({block for unit in units for block in unit})
        signature = {task: tuple(versions[block][task] for block in blocks) for task in tasks}
        branch = _number({task: (branch[task], signature[task]) for task in tasks})
        ordered = _shortest_path(list(dict.fromkeys(signature.values())), [block_bytes[block] for block in blocks])
        at = {block: place for place, block in enumerate(blocks)}
        layouts.append(
            StageLayout(
                branch=branch,
                rank={task: ordered.index(signature[task]) for task in tasks},
                versions={unit: tuple(tuple(ids[at[block]] for block in unit) for ids in ordered) for unit in units},
                merges=(merges or {}).get(number, 1),
            )
        )
    return tuple(layouts)


def _number(keys: Mapping[str, object]) -> dict[str, int]:
    """Number the distinct keys in order of appearance."""
    numbers: dict[object, int] = {}
    return {task: numbers.setdefault(key, len(numbers)) for task, key in keys.items()}


def _shortest_path(signatures: Sequence[VersionIds], weights: Sequence[int]) -> list[VersionIds]:
    """Order the signatures so that neighbours share as many bytes as may be: then versions lie in few slices.

    The nearest neighbour from every start, and of these the best. Exact where the blocks' groups are nested; the order
    changes only the speed.
    """

    def distance(a: VersionIds, b: VersionIds) -> int:
        return sum(weight for weight, x, y in zip(weights, a, b, strict=True) if x != y)

    def walk(start: VersionIds) -> tuple[int, list[VersionIds]]:
        path, left, length = [start], [s for s in signatures if s != start], 0
        while left:
            nearest = min(left, key=lambda s: distance(path[-1], s))
            length += distance(path[-1], nearest)
            left.remove(nearest)
            path.append(nearest)
        return length, path

    return min(map(walk, signatures), key=lambda walked: walked[0])[1]
