"""The block map: every stored version of every block as a rectangle, over the rungs that use it.

Its width is the rungs it serves, its height the tasks that share it; a block's rectangles fill its row at every rung.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from merge_builder.ladder import format_bytes, select
from merge_builder.ladder.manifest import Manifest, Step, Version
from merge_builder.report.axis import Axis
from merge_builder.report.curve import Tick

WIDTH = 920
LEFT, RIGHT, TOP, BOTTOM = 200, 76, 34, 40
GAP = 4  # between rows
LEAST_TICK = 34
COLOURS = 8
Group = tuple[str, ...]


@dataclass(frozen=True)
class Life:
    """A version of a block and the tasks that share it: in use from rung `born` up to, without it, rung `dies`."""

    block: str
    group: Group
    born: int
    dies: int


@dataclass(frozen=True)
class Rectangle:
    """One stored version; `colour` is a CSS class."""

    x: float
    y: float
    width: float
    height: float
    colour: str
    told: str


@dataclass(frozen=True)
class Row:
    """One block's name and size at the height `y`, its rectangles, and the groups that share it as they came about."""

    block: str
    size: str
    y: float
    rectangles: Sequence[Rectangle]
    shared: Sequence[Life]


@dataclass(frozen=True)
class BlockMap:
    """Everything that the picture draws; `legend` pairs a CSS class with its meaning."""

    height: float
    rows: Sequence[Row]
    ticks: Sequence[Tick]
    legend: Sequence[tuple[str, str]]


def draw_block_map(manifest: Manifest) -> BlockMap:
    """The map of one ladder, the smallest rung to the left."""
    tasks = len(manifest.tasks)
    row_height = min(max(2.5 * tasks, 14), 34)
    last = len(manifest.rungs) - 1
    x = Axis(last + 1, 0, LEFT, WIDTH - RIGHT)
    lives = list(_lives(manifest))
    colours = _colours(lives, tasks)
    versions = {(version.block, frozenset(version.tasks)): version for version in manifest.versions}
    rows = []
    for number, block in enumerate(manifest.blocks):
        top = TOP + number * (row_height + GAP)
        own = [life for life in lives if life.block == block.name]
        y = Axis(0, tasks, top, top + row_height)
        order = _leaf_order(manifest, block.name)
        told = [_tell(life, versions[block.name, frozenset(life.group)], manifest) for life in own]
        boxes = [_rectangle(life, x, y, order, colours, text) for life, text in zip(own, told, strict=True)]
        shared = sorted((life for life in own if len(life.group) > 1), key=lambda life: life.born)
        rows.append(Row(block.name, format_bytes(block.bytes), top + row_height / 2, boxes, shared))
    height = TOP + len(rows) * (row_height + GAP) + BOTTOM
    return BlockMap(height, rows, _ticks(manifest, x), _legend(colours, lives))


def _rectangle(
    life: Life, x: Axis, y: Axis, order: Mapping[str, int], colours: Mapping[Group, str], told: str
) -> Rectangle:
    first = min(order[task] for task in life.group)
    left, upper = x.at(life.dies), y.at(first)
    width, height = round(x.at(life.born) - left, 1), round(y.at(first + len(life.group)) - upper, 1)
    return Rectangle(left, upper, width, height, colours.get(life.group, "group-other"), told)


def _lives(manifest: Manifest) -> Iterator[Life]:
    """Every version of every block with the first rung that uses it and the first that uses it no longer.

    A merge of which no version is stored changes nothing: its tasks keep what they used.
    """
    stored = {(version.block, tuple(sorted(version.tasks))) for version in manifest.versions}
    alone = {task.name: ((task.name,), 0) for task in manifest.tasks}
    used: dict[str, dict[str, tuple[Group, int]]] = {block.name: dict(alone) for block in manifest.blocks}
    for rung, step in enumerate(manifest.trace, 1):
        group, own = _merged(step), used[step.block]
        if (step.block, group) in stored:
            yield from (Life(step.block, *old, rung) for old in dict.fromkeys(own[task] for task in group))
            own.update(dict.fromkeys(group, (group, rung)))
    for block, own in used.items():
        yield from (Life(block, *last, len(manifest.rungs)) for last in dict.fromkeys(own.values()))


def _merged(step: Step) -> Group:
    return tuple(sorted(step.left + step.right))


def _leaf_order(manifest: Manifest, block: str) -> dict[str, int]:
    """A place for each task such that every group of the block is made of neighbours."""
    orders: dict[Group, list[str]] = {(task.name,): [task.name] for task in manifest.tasks}
    for step in manifest.trace:
        if step.block == block:
            sides = (orders.pop(tuple(sorted(side))) for side in (step.left, step.right))
            orders[_merged(step)] = [task for side in sides for task in side]
    return {task: place for place, task in enumerate(task for order in orders.values() for task in order)}


def _colours(lives: Sequence[Life], tasks: int) -> dict[Group, str]:
    """A CSS class for a single task, for all tasks, and for each of the groups that cover most of the map."""
    area: Counter[Group] = Counter()
    for life in lives:
        if 1 < len(life.group) < tasks:
            area[life.group] += (life.dies - life.born) * len(life.group)
    common = sorted(area, key=lambda group: (-area[group], group))[:COLOURS]
    colours = {group: f"group-{number}" for number, group in enumerate(common)}
    for life in lives:
        if len(life.group) == tasks:
            colours[life.group] = "group-all"
        elif len(life.group) == 1:
            colours[life.group] = "group-own"
    return colours


def _legend(colours: dict[Group, str], lives: Sequence[Life]) -> list[tuple[str, str]]:
    named = [(colour, " + ".join(group)) for group, colour in colours.items() if colour[-1].isdigit()]
    other = [("group-other", "another group")] if any(life.group not in colours for life in lives) else []
    return [("group-own", "one task, its expert's own weights"), *named, *other, ("group-all", "all tasks")]


def _tell(life: Life, version: Version, manifest: Manifest) -> str:
    large, small = manifest.rungs[life.born], manifest.rungs[life.dies - 1]
    who = f"{life.group[0]} alone" if len(life.group) == 1 else f"{', '.join(life.group)} share one version"
    return (
        f"{life.block}, {format_bytes(version.bytes)}\n{who}\n"
        f"rungs #{large.index} to #{small.index} ({large.ratio:.2f}x to {small.ratio:.2f}x)"
    )


def _ticks(manifest: Manifest, x: Axis) -> list[Tick]:
    """Sizes along the rungs, from the left, those left out that would overlap; both ends stay."""
    smallest, largest = manifest.rungs[-1], manifest.rungs[0]
    ends = [(x.at(smallest.index + 0.5), f"{smallest.ratio:g}x"), (x.at(0.5), f"{largest.ratio:.3g}x")]
    sizes = [1.25, 1.5, *range(2, len(manifest.tasks))]
    places = [(x.at(select(manifest, str(size)).index + 0.5), f"{size:g}x") for size in sizes if size >= smallest.ratio]
    kept = [ends[0]]
    for place in places:
        if kept[-1][0] + LEAST_TICK <= place[0] <= ends[1][0] - LEAST_TICK:
            kept.append(place)
    return [Tick(at, label) for at, label in dict.fromkeys([*kept, ends[1]])]
