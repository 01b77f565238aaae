import pytest

from merge_builder.errors import InputError
from merge_builder.ladder import BudgetTooSmall, Ladder, choose, format_bytes, parse_bytes, select


@pytest.mark.parametrize(
    ("text", "count"),
    [("0", 0), ("1048576", 1 << 20), ("300MiB", 300 << 20), ("1.5 GB", 1_500_000_000), ("2gib", 2 << 30), ("7B", 7)],
)
def test_sizes_parse(text: str, count: int) -> None:
    assert parse_bytes(text) == count


@pytest.mark.parametrize("text", ["", "MiB", "-1", "3 parsecs", "1,5GB", "nan", "0.5", "1.5B"])
def test_what_is_no_size_is_told(text: str) -> None:
    with pytest.raises(InputError, match="not a size"):
        parse_bytes(text)


def test_sizes_read_well() -> None:
    assert [format_bytes(n) for n in (12, 2048, 300 << 20)] == ["12 B", "2.0 KiB", "300.0 MiB"]


def test_the_largest_rung_that_fits_is_chosen(make_ladder) -> None:
    manifest = make_ladder().manifest
    for rung in manifest.rungs:
        assert choose(manifest, rung.bytes) == rung
        if rung.index:
            assert choose(manifest, rung.bytes + 1) == rung
    least = manifest.rungs[-1].bytes
    with pytest.raises(BudgetTooSmall, match=str(least)):
        choose(manifest, least - 1)


def test_a_rung_is_selected_by_ratio_or_index(make_ladder) -> None:
    manifest = make_ladder().manifest
    assert select(manifest, "1").ratio == 1.0
    assert select(manifest, "3.0x").index == 0
    assert select(manifest, "#4").index == 4
    chosen = select(manifest, "2.0")
    assert chosen.ratio <= 2.0 < manifest.rungs[chosen.index - 1].ratio
    for text in ("0.5", "#9999", "large", "#-1", ""):
        with pytest.raises(InputError):
            select(manifest, text)


def test_ratio_runs_from_m_to_one(make_ladder) -> None:
    ladder: Ladder = make_ladder()
    ratios = [rung.ratio for rung in ladder.manifest.rungs]
    assert (ratios[0], ratios[-1]) == (3.0, 1.0)
    assert ratios == sorted(ratios, reverse=True)
