import shutil


def test_a_good_ladder_is_exit_code_0(mergeladder, ladder):
    checked = mergeladder("verify", ladder.root, "--json")
    assert (checked.code, checked.document) == (0, {"ok": True, "problems": []})


def test_a_changed_byte_is_exit_code_1_and_names_the_file(mergeladder, ladder, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(ladder.root, copy)
    victim = ladder.version_path(ladder.manifest.versions[0]).relative_to(ladder.root)
    content = bytearray((copy / victim).read_bytes())
    content[-1] ^= 1
    (copy / victim).write_bytes(content)
    checked = mergeladder("verify", copy, "--json")
    assert checked.code == 1
    assert not checked.document["ok"]
    assert any(str(victim) in problem for problem in checked.document["problems"])
    assert str(victim) in checked.err
