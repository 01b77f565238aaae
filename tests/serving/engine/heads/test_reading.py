import pytest
import torch

from serving.engine.heads.reading import FIRST, MEAN, mean_behind

LENGTHS = [3, 1, 4]


@pytest.fixture
def packed() -> tuple[list[torch.Tensor], torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    sequences = [torch.randn(length, 5) for length in LENGTHS]
    lengths = torch.tensor(LENGTHS)
    return sequences, torch.cat(sequences), lengths.cumsum(0) - lengths, lengths


def test_the_first_token_of_each_sequence(packed) -> None:
    sequences, tokens, starts, lengths = packed
    assert torch.equal(FIRST.read(tokens, starts, lengths), torch.stack([own[0] for own in sequences]))


def test_the_mean_is_that_of_each_sequence_by_itself(packed) -> None:
    sequences, tokens, starts, lengths = packed
    torch.testing.assert_close(MEAN.read(tokens, starts, lengths), torch.stack([own.mean(0) for own in sequences]))


def test_a_mean_may_leave_out_first_tokens_and_sequences(packed) -> None:
    sequences, tokens, starts, lengths = packed
    some = torch.tensor([2, 0])
    read = mean_behind(1)(tokens, starts[some], lengths[some])
    torch.testing.assert_close(read, torch.stack([sequences[2][1:].mean(0), sequences[0][1:].mean(0)]))
