import pytest
import torch
import torch.nn.functional as F

from serving.engine.linear import linear, linear_into, quantise


@pytest.fixture
def tensors() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Tokens (1, 5, 64), a weight (48, 64) whose outputs differ a thousandfold in size, and a bias."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(48, 64, generator=generator) * torch.logspace(-3, 0, 48)[:, None]
    return torch.randn(1, 5, 64, generator=generator), weight, torch.randn(48, generator=generator)


def test_an_8_bit_weight_multiplies_as_its_rounded_values_do(tensors) -> None:
    tokens, weight, bias = tensors
    step = weight.abs().amax(dim=1, keepdim=True) / 127
    rounded = (weight / step).round() * step
    expected = F.linear(tokens, rounded)
    got = linear(tokens, quantise(weight))

    # What is left is the rounding of the tokens, to 7 bits of their joint range.
    half_step = (tokens.max() - tokens.min()) / 127 / 2
    assert ((got - expected).abs() <= 1.01 * half_step * rounded.abs().sum(dim=1)).all()
    assert (F.linear(tokens, weight) - got).norm() < 0.05 * got.norm()
    torch.testing.assert_close(linear(tokens, quantise(weight), bias), got + bias)


@pytest.mark.parametrize("eight_bits", [False, True])
@pytest.mark.parametrize("biased", [False, True])
def test_writing_into_a_slice_is_the_same_and_touches_nothing_else(tensors, eight_bits: bool, biased: bool) -> None:
    tokens, weight, bias = tensors
    matrix, added = quantise(weight) if eight_bits else weight, bias if biased else None
    out = torch.full((1, 9, 48), 7.0)
    linear_into(tokens, out[:, 2:7], matrix, added)

    torch.testing.assert_close(out[:, 2:7], linear(tokens, matrix, added))
    assert (out[:, :2] == 7).all()
    assert (out[:, 7:] == 7).all()


def test_a_weight_of_zeros_stays_zero(tensors) -> None:
    tokens, weight, _ = tensors
    assert (linear(tokens, quantise(torch.zeros_like(weight))) == 0).all()


def test_bytes_are_a_byte_a_weight_and_twelve_an_output(tensors) -> None:
    assert quantise(tensors[1]).nbytes == 48 * 64 + 12 * 48
