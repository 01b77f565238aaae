import json
from pathlib import Path

import numpy as np
import pytest

from merge_builder.errors import InputError
from merge_builder.tuning.candidate import key_of
from merge_builder.tuning.journal import Asked, open_journal

ASKED = Asked(3, key_of({"method": "x", "scale": 1.5}), "search")


def test_what_was_added_is_known_when_it_is_opened_again(tmp_path: Path) -> None:
    journal = open_journal(tmp_path / "j", "inputs")
    journal.add(ASKED, {"a": np.array([True, False, True])}, cpu=2.0, wall=3.0)
    journal.add(ASKED, {"a": np.array([False])}, cpu=1.0, wall=1.0)
    again = open_journal(tmp_path / "j", "inputs")
    assert again.right(ASKED, "a").tolist() == [True, False, True, False] == journal.right(ASKED, "a").tolist()
    assert again.right(Asked(4, ASKED.candidate, "search"), "a").size == 0
    assert again.costs == journal.costs
    assert (again.costs[3].evaluations, again.costs[3].rows, again.wall_seconds) == (2, 4, 4.0)


def test_a_line_that_was_cut_off_is_dropped_and_written_over(tmp_path: Path) -> None:
    journal = open_journal(tmp_path / "j", "inputs")
    journal.add(ASKED, {"a": np.array([True])}, 1, 1)
    whole = (tmp_path / "j").read_bytes()
    journal.add(ASKED, {"a": np.array([False])}, 1, 1)
    (tmp_path / "j").write_bytes((tmp_path / "j").read_bytes()[:-7])
    again = open_journal(tmp_path / "j", "inputs")
    assert again.right(ASKED, "a").tolist() == [True]
    assert (tmp_path / "j").read_bytes() == whole
    again.add(ASKED, {"a": np.array([True])}, 1, 1)
    assert open_journal(tmp_path / "j", "inputs").right(ASKED, "a").tolist() == [True, True]


def test_another_search_and_what_is_no_journal_are_refused(tmp_path: Path) -> None:
    open_journal(tmp_path / "j", "inputs")
    with pytest.raises(InputError, match="other inputs"):
        open_journal(tmp_path / "j", "others")
    (tmp_path / "k").write_text(json.dumps({"inputs": "inputs"}) + "\n[1]\n")
    with pytest.raises(InputError, match="no journal"):
        open_journal(tmp_path / "k", "inputs")
