import pytest
import torch
from torch import nn

from serving.engine.plan import Run
from serving.engine.routed import Route, twin_of

TOKENS = 7
# Version "x" works on two slices, "y" on the one between them.
RUNS = (Run(("x",), ((0, 2), (5, 7))), Run(("y",), ((2, 5),)))
OWNER = "xxyyyxx"


def _versions(leaf: nn.Module) -> dict[str, dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(0)
    return {
        version: {name: torch.randn(p.shape, generator=generator) for name, p in leaf.named_parameters()}
        for version in "xy"
    }


LEAVES = [
    (nn.Linear(4, 6), torch.randn(1, TOKENS, 4)),
    (nn.Linear(4, 6, bias=False), torch.randn(1, TOKENS, 4)),
    (nn.LayerNorm(4, eps=0.1), torch.randn(1, TOKENS, 4)),
    (nn.Embedding(9, 4), torch.randint(9, (1, TOKENS))),
]


@pytest.mark.parametrize(("leaf", "tokens"), LEAVES)
def test_a_twin_applies_each_version_to_its_tokens(leaf: nn.Module, tokens: torch.Tensor) -> None:
    versions = _versions(leaf)
    route = Route()
    twin = twin_of(leaf, {name: (name, "block") for name in versions["x"]}, route, {})
    route.weights = {("block", version): tensors for version, tensors in versions.items()}
    route.runs = {("block",): RUNS}

    output = twin(tokens)

    assert not list(twin.parameters())
    for version in "xy":
        leaf.load_state_dict(versions[version])
        mine = [token for token in range(TOKENS) if OWNER[token] == version]
        torch.testing.assert_close(output[:, mine], leaf(tokens)[:, mine])


def test_one_version_for_all_is_the_plain_operation_on_the_whole_input() -> None:
    leaf = nn.Linear(4, 6)
    route = Route({("block", "x"): dict(leaf.state_dict())}, {("block",): (Run(("x",), ((0, TOKENS),)),)})
    tokens = torch.randn(1, TOKENS, 4)

    twin = twin_of(leaf, {"weight": ("weight", "block"), "bias": ("bias", "block")}, route, {})

    assert torch.equal(twin(tokens), leaf(tokens))


def test_a_linear_whose_weight_and_bias_are_blocks_of_their_own_routes_them_apart() -> None:
    leaf = nn.Linear(4, 6)
    versions = _versions(leaf)
    route = Route()
    twin = twin_of(leaf, {"weight": ("weight", "w"), "bias": ("bias", "b")}, route, {})
    route.weights = {(block, version): versions[version] for block in "wb" for version in "xy"}
    route.runs = {("w",): (Run(("x",), ((0, TOKENS),)),), ("b",): RUNS}
    tokens = torch.randn(1, TOKENS, 4)

    bias = torch.stack([versions[version]["bias"] for version in OWNER])
    torch.testing.assert_close(twin(tokens), tokens @ versions["x"]["weight"].T + bias)


def test_a_module_of_another_type_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match="Bilinear"):
        twin_of(nn.Bilinear(2, 2, 2), {"weight": ("weight", "block")}, Route(), {})
