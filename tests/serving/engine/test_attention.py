import pytest
import torch
from torch import nn

from serving.engine.attention import attend, attend_near, packed_attention


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


def test_biases_are_added_to_the_scores_of_their_sequences_and_a_mask_leaves_tokens_out() -> None:
    heads, size, packed = 2, 3, [(2, 3), (1, 1), (1, 4)]
    query, key, value = torch.randn(3, 1, 11, heads * size, generator=torch.Generator().manual_seed(0))
    near = (torch.arange(4)[:, None] - torch.arange(4)).abs() < 2
    biases = [torch.randn(2, heads, 3, 3), None, near]
    output = attend(heads, query, key, value, packed, biases=biases, scaling=0.5)

    first = ((0, biases[0][0]), (3, biases[0][1]), (6, torch.zeros(1, 1)), (7, torch.where(near, 0.0, -torch.inf)))
    for start, bias in first:
        q, k, v = (
            x[0, start : start + bias.shape[-1]].unflatten(-1, (heads, size)).transpose(0, 1)
            for x in (query, key, value)
        )
        right = ((q @ k.transpose(-1, -2) * 0.5 + bias).softmax(-1) @ v).transpose(0, 1).flatten(1)
        torch.testing.assert_close(output[0, start : start + bias.shape[-1]], right)


@pytest.mark.parametrize("distance", [1, 40, 300, 700])
def test_tokens_attend_to_those_near_them(distance: int) -> None:
    heads, size, packed = 2, 3, [(2, 5), (1, 1), (2, 256), (1, 257), (1, 620)]
    tokens = sum(count * length for count, length in packed)
    query, key, value = torch.randn(3, 1, tokens, heads * size, generator=torch.Generator().manual_seed(0))
    output = attend_near(heads, distance, query, key, value, packed)
    near = [(torch.arange(length)[:, None] - torch.arange(length)).abs() <= distance for _, length in packed]
    torch.testing.assert_close(output, attend(heads, query, key, value, packed, biases=near))
