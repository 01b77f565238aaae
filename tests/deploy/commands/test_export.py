from transformers import BertForSequenceClassification


def test_rung_0_is_the_expert_bit_for_bit(mergeladder, ladder, recipe_file, tmp_path):
    out = tmp_path / "mood"
    told = mergeladder("export", ladder.root, "--task", "mood", "--rung", "#0", out, "--json")
    assert told.document == {"path": str(out), "task": "mood", "rung": ladder.manifest.rungs[0].model_dump()}
    expert = BertForSequenceClassification.from_pretrained(recipe_file.parent / "mood").state_dict()
    exported = BertForSequenceClassification.from_pretrained(out).state_dict()
    assert exported.keys() == expert.keys()
    assert all(exported[name].equal(tensor) for name, tensor in expert.items())


def test_people_are_told_the_folder_as_it_is_called(mergeladder, ladder, tmp_path):
    out = tmp_path / "mood[bold]"
    told = mergeladder("export", ladder.root, "--task", "mood", "--rung", "1", out)
    assert told.code == 0
    assert str(out) in told.err


def test_an_unknown_task_is_exit_code_2_and_the_nearest_is_named(mergeladder, ladder, tmp_path):
    failed = mergeladder("export", ladder.root, "--task", "moot", "--rung", "1", tmp_path / "out")
    assert failed.code == 2
    assert "moot" in failed.err
    assert "'mood'" in failed.err
    assert not (tmp_path / "out").exists()


def test_a_rung_the_ladder_lacks_is_exit_code_2(mergeladder, ladder, tmp_path):
    failed = mergeladder("export", ladder.root, "--task", "mood", "--rung", "#999", tmp_path / "out")
    assert failed.code == 2
    assert "#999" in failed.err
