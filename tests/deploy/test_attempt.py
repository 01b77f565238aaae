from deploy.attempt import SMALLER, Attempt


def test_a_death_is_remembered_and_a_smaller_rung_is_tried(ladder, tmp_path):
    rungs = ladder.manifest.rungs
    attempt = Attempt(tmp_path / "node", "gpu0")
    assert attempt.largest_now(ladder.manifest) is None
    attempt.begin(rungs[0])
    after = Attempt(tmp_path / "node", "gpu0")  # the replica that is started in its place
    tried = after.largest_now(ladder.manifest)
    assert tried.bytes == max(rung.bytes for rung in rungs if rung.bytes <= SMALLER * rungs[0].bytes)
    after.begin(tried)
    assert Attempt(tmp_path / "node", "gpu0").largest_now(ladder.manifest).bytes < tried.bytes
    after.end()
    assert Attempt(tmp_path / "node", "gpu0").largest_now(ladder.manifest) is None


def test_below_the_smallest_rung_there_is_nothing(ladder, tmp_path):
    smallest = min(ladder.manifest.rungs, key=lambda rung: rung.bytes)
    attempt = Attempt(tmp_path, "cpu")
    attempt.begin(smallest)
    assert attempt.largest_now(ladder.manifest) == smallest


def test_replicas_of_a_node_keep_notes_of_their_own(ladder, tmp_path):
    Attempt(tmp_path, "gpu0").begin(ladder.manifest.rungs[0])
    assert Attempt(tmp_path, "gpu1").largest_now(ladder.manifest) is None


def test_a_note_that_makes_no_sense_is_none(ladder, tmp_path):
    attempt = Attempt(tmp_path, "cpu")
    attempt.path.write_text("many")
    assert attempt.largest_now(ladder.manifest) is None
