import torch
from torch import nn

from serving.engine.plan import Run
from serving.engine.relative import by_distance, distances, lengths_of, stretches
from serving.engine.routed import Route, twin_of

# Five sequences of 2 tokens and two of 3. The table changes versions behind the first two, the norm behind six.
LENGTHS = [(5, 2), (2, 3)]
TABLE = (Run(("x",), ((0, 4), (13, 16))), Run(("y",), ((4, 13),)))
NORM = (Run(("x",), ((0, 13),)), Run(("y",), ((13, 16),)))


def _twins() -> tuple[nn.Module, nn.Module, Route]:
    generator = torch.Generator().manual_seed(0)
    route = Route()
    leaves = {"table": nn.Embedding(9, 4), "norm": nn.LayerNorm(4)}
    twins = []
    for block, leaf in leaves.items():
        names = {name: (f"{block}.{name}", block) for name, _ in leaf.named_parameters()}
        twins.append(twin_of(leaf, names, route, {}))
        route.weights |= {
            (block, version): {
                f"{block}.{name}": torch.randn(p.shape, generator=generator) for name, p in leaf.named_parameters()
            }
            for version in "xy"
        }
    route.runs = {("table",): TABLE, ("norm",): NORM}
    return *twins, route


def test_sequences_part_where_any_of_the_modules_changes_versions() -> None:
    table, norm, _ = _twins()
    parts = stretches([table, norm], LENGTHS)

    assert lengths_of(parts) == [(2, 2), (3, 2), (1, 3), (1, 3)]
    assert [(part.start, part.end) for part in parts] == [(0, 4), (4, 10), (10, 13), (13, 16)]
    assert [part.key for part in parts] == [
        (("x",), ("x",)),
        (("y",), ("x",)),
        (("y",), ("x",)),
        (("x",), ("y",)),
    ]


def test_one_version_for_all_leaves_the_lengths_as_they_are() -> None:
    table, norm, route = _twins()
    route.runs = {("table",): (TABLE[0],), ("norm",): (NORM[1],)}
    assert lengths_of(stretches([table, norm], LENGTHS)) == LENGTHS


def test_within_alone_the_modules_go_by_the_stretchs_versions_whatever_they_are_applied_to() -> None:
    table, norm, route = _twins()
    rows = torch.tensor([[0, 3, 8, 8, 1]])
    runs = route.runs
    for part, (tables, norms) in zip(stretches([table, norm], LENGTHS), ("xx", "yx", "yx", "xy"), strict=True):
        with part.alone():
            got = norm(table(rows))
        weights = {**route.weights["table", tables], **route.weights["norm", norms]}
        right = nn.functional.layer_norm(
            weights["table.weight"][rows], (4,), weights["norm.weight"], weights["norm.bias"]
        )
        torch.testing.assert_close(got, right)
        assert route.runs is runs


def test_values_by_distance_are_spread_over_pairs() -> None:
    spread = by_distance(distances(4, torch.device("cpu")))
    assert torch.equal(spread, torch.arange(4)[None, :] - torch.arange(4)[:, None])
