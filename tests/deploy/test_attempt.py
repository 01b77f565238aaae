import os
import tempfile
from pathlib import Path

import pytest

from deploy.attempt import SMALLER, Attempt, node_folder
from merge_builder.errors import MergeLadderError
from merge_builder.ladder import RungSize


def die_of(attempt: Attempt, rung: RungSize) -> None:
    """The process ends on its way, and with it all that it had open."""
    attempt.begin(rung)
    attempt._note.close()


def test_a_death_is_remembered_and_a_smaller_rung_is_tried(ladder, tmp_path):
    rungs = ladder.manifest.rungs
    attempt = Attempt(tmp_path / "node", "gpu0")
    assert attempt.largest_now(ladder.manifest) is None
    die_of(attempt, rungs[0])
    after = Attempt(tmp_path / "node", "gpu0")  # the replica that is started in its place
    tried = after.largest_now(ladder.manifest)
    assert tried.bytes == max(rung.bytes for rung in rungs if rung.bytes <= SMALLER * rungs[0].bytes)
    die_of(after, tried)
    third = Attempt(tmp_path / "node", "gpu0")
    assert third.largest_now(ladder.manifest).bytes < tried.bytes
    third.begin(rungs[-1])
    third.end()
    assert Attempt(tmp_path / "node", "gpu0").largest_now(ladder.manifest) is None


def test_one_that_is_on_its_way_has_not_died(ladder, tmp_path):
    alive, beside = Attempt(tmp_path, "cpu"), Attempt(tmp_path, "cpu")
    alive.begin(ladder.manifest.rungs[0])
    assert beside.largest_now(ladder.manifest) is None
    beside.begin(ladder.manifest.rungs[1])
    beside.end()  # of nothing: the note is the other's
    alive._note.close()
    assert beside.died_of(ladder.manifest) == ladder.manifest.rungs[0]


def test_below_the_smallest_rung_there_is_nothing(ladder, tmp_path):
    smallest = min(ladder.manifest.rungs, key=lambda rung: rung.bytes)
    attempt = Attempt(tmp_path, "cpu")
    die_of(attempt, smallest)
    assert attempt.largest_now(ladder.manifest) == smallest


def test_replicas_of_a_node_keep_notes_of_their_own(ladder, tmp_path):
    die_of(Attempt(tmp_path, "gpu0"), ladder.manifest.rungs[0])
    assert Attempt(tmp_path, "gpu1").largest_now(ladder.manifest) is None


def test_a_note_that_makes_no_sense_is_none(ladder, tmp_path):
    attempt = Attempt(tmp_path, "cpu")
    attempt.path.write_text("many")
    assert attempt.largest_now(ladder.manifest) is None


def test_the_folder_of_a_node_is_in_one_of_this_users_alone(monkeypatch):
    with tempfile.TemporaryDirectory() as folder:  # tmp_path is too long
        monkeypatch.setattr(tempfile, "tempdir", folder)
        own = Path(folder) / f"mergeladder-{os.getuid()}"
        own.mkdir(mode=0o755)
        assert node_folder("0123456789abcdef", 8000) == own / "0123456789ab-8000"
        assert own.stat().st_mode & 0o777 == 0o700


def test_a_folder_too_long_for_sockets_is_an_error_that_tells_the_remedy(tmp_path, monkeypatch):
    long = tmp_path / ("x" * 100)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    with pytest.raises(MergeLadderError, match="TMPDIR to a shorter"):
        node_folder("0123456789abcdef", 8000)


def test_a_folder_that_somebody_else_could_have_made_is_not_used(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / f"mergeladder-{os.getuid()}").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(MergeLadderError, match="TMPDIR"):
        node_folder("0123456789abcdef", 8000)
