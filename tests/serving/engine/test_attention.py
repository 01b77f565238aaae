import pytest
import torch
from torch import nn

from serving.engine.attention import packed_attention


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("packed", [[(1, 5)], [(3, 2)], [(2, 1), (1, 4), (2, 3), (1, 1)]])
def test_every_sequence_attends_to_itself_alone(packed: list[tuple[int, int]], causal: bool) -> None:
    tokens, heads, size, scaling = sum(count * length for count, length in packed), 3, 4, 0.7
    query, key, value = torch.randn(3, 1, heads, tokens, size, generator=torch.Generator().manual_seed(0))
    module = nn.Module()
    module.is_causal = causal
    output, weights = packed_attention(module, query, key, value, None, packed=packed, scaling=scaling, dropout=0.0)

    sequence = torch.cat([torch.full((n,), i) for i, n in enumerate(n for c, n in packed for _ in range(c))])
    allowed = sequence[:, None] == sequence[None, :]
    if causal:
        allowed &= torch.ones(tokens, tokens).tril().bool()
    scores = (query @ key.transpose(-1, -2) * scaling).masked_fill(~allowed, float("-inf"))
    expected = (scores.softmax(-1) @ value).transpose(1, 2)
    assert weights is None
    torch.testing.assert_close(output, expected)
