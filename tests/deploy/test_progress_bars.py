import io

from rich.console import Console

from deploy.progress_bars import progress_bars


def drawn(*, terminal: bool) -> str:
    console = Console(file=io.StringIO(), force_terminal=terminal, width=160)
    with progress_bars(console) as progress:
        for done in range(0, 101, 10):
            progress("reading experts", done * 1000, 100_000, "B")
        progress("scoring", 0, 5, "rows")
        progress("scoring", 5, 5, "rows")
        progress("already there", 7, 7, "rows")
    return console.file.getvalue()


def test_a_terminal_gets_bars_with_the_time_left():
    shown = drawn(terminal=True)
    assert "reading experts" in shown
    assert "100%" in shown
    assert "100.0 kB of 100.0 kB" in shown
    assert "left" in shown
    assert "already there" not in shown


def test_elsewhere_a_quick_stage_is_two_plain_lines():
    assert drawn(terminal=False).splitlines() == [
        "reading experts ...",
        "reading experts: 100.0 kB of 100.0 kB",
        "scoring ...",
        "scoring: 5/5 rows",
    ]
