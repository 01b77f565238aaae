import shlex

import yaml

from merge_builder.ladder import open_ladder


def test_build_writes_a_ladder_and_says_where(mergeladder, recipe_file, tmp_path):
    built = mergeladder("build", recipe_file, tmp_path / "ladder", "--threads", 1)
    assert (built.code, built.out) == (0, "")
    assert str(tmp_path / "ladder") in built.err
    rungs = open_ladder(tmp_path / "ladder").manifest.rungs
    assert f"{len(rungs)} rungs from 1.00x" in built.err


def test_the_command_that_build_names_next_can_be_pasted(mergeladder, recipe_file, tmp_path):
    built = mergeladder("build", recipe_file, tmp_path / "my ladder")
    _, command = built.err.strip().splitlines()[-1].split("next: mergeladder ")
    assert mergeladder(*shlex.split(command)).code == 0


def test_build_json_is_what_inspect_json_prints(mergeladder, recipe_file, tmp_path):
    built = mergeladder("build", recipe_file, tmp_path / "ladder", "--json")
    assert built.document == mergeladder("inspect", tmp_path / "ladder", "--json").document


def test_a_dry_run_writes_nothing_and_foretells_the_sizes(mergeladder, recipe_file, tmp_path):
    out = tmp_path / "ladder"
    told = mergeladder("build", recipe_file, out, "--dry-run", "--json").document
    assert not out.exists()
    assert "would build" in mergeladder("build", recipe_file, out, "--dry-run").err
    assert not out.exists()
    mergeladder("build", recipe_file, out)
    manifest = open_ladder(out).manifest
    assert (told["rungs"], told["blocks"]) == (len(manifest.rungs), len(manifest.blocks))
    stored = sum(v.bytes for v in manifest.versions) + sum(task.head.bytes for task in manifest.tasks)
    assert told["bytes_written"] == stored


def test_a_wrong_recipe_key_is_exit_code_2_and_the_nearest_is_named(mergeladder, recipe_file, tmp_path):
    recipe = yaml.safe_load(recipe_file.read_text())
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(yaml.safe_dump(recipe | {"linkags": "min"}))
    failed = mergeladder("build", wrong, tmp_path / "ladder", "--json")
    assert failed.code == 2
    assert "linkags" in failed.document["error"]["message"]
    assert "'linkage'" in failed.document["error"]["message"]
    assert not (tmp_path / "ladder").exists()
