"""The whole preparation, from wheels to a recipe, with a pico base and two small tasks.

The experts are made in this process; that each has one of its own is test_experts.py's.
"""

from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

import deploy.demo.assets
import deploy.demo.base
from deploy.demo import prepare
from deploy.demo.experts import Job
from deploy.demo.finetune import finetune
from deploy.demo.rows import read_rows
from deploy.demo.tasks import DemoTask
from deploy.demo.training import Training
from merge_builder.evaluation import Row
from merge_builder.progress import Progress, silent
from merge_builder.recipe import load_recipe


@pytest.fixture
def pico_demo(
    pico_base: Path, colour_rows: list[Row], make_package, registry: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The registry of a demo whose base is the pico one and whose two tasks come from one small wheel."""
    files = {f"{deploy.demo.base.FOLDER}{path.name}": path.read_bytes() for path in pico_base.iterdir()}
    files |= {f"{deploy.demo.base.FOLDER}{name}": b"{}" for name in ("special_tokens_map.json", "vocab.txt")} | files
    package = make_package("colours", {"colours/rows.jsonl": "".join(f"{row.text}\n" for row in colour_rows)})

    def read(wheel: Path) -> list[Row]:
        assert wheel.name == "colours-1.0-py3-none-any.whl"
        return colour_rows

    monkeypatch.setattr(deploy.demo.base, "PACKAGE", make_package("pico-base", files))
    tasks = {
        "colour": DemoTask(package, read, Training(2), Training(2)),
        "slow_colour": DemoTask(package, read, Training(3)),
    }
    monkeypatch.setattr(deploy.demo.assets, "TASKS", tasks)
    monkeypatch.setattr(deploy.demo.assets, "finetune_all", finetune_here)
    return registry


def finetune_here(jobs: Sequence[Job], progress: Progress) -> None:
    for job in jobs:
        if not job.out.exists():
            rows = read_rows(job.rows)
            finetune(job.base, rows, sorted({row.label for row in rows}), job.out, job.training, progress=progress)


def test_the_demo_is_prepared_once_and_found_again(pico_demo: Path) -> None:
    assets = prepare(silent)
    assert list(assets.experts) == ["colour", "slow_colour"]
    recipe = load_recipe(assets.recipe)
    assert recipe.base == str(assets.base)
    assert {name: expert.model for name, expert in recipe.tasks.items()} == {
        name: str(path) for name, path in assets.experts.items()
    }
    assert all((path / "model.safetensors").is_file() for path in assets.experts.values())
    data = yaml.safe_load(assets.data.read_text())["tasks"]
    assert list(data) == list(assets.experts)
    test = read_rows(Path(data["colour"]))
    train = read_rows(Path(data["colour"]).with_name("train.jsonl"))
    assert test
    assert not set(test) & set(train)

    for wheel in pico_demo.iterdir():
        wheel.unlink()
    assert prepare(lambda *what: pytest.fail(f"{what} was done again")) == assets

    fast = prepare(silent, fast=True)  # its training is the same here, so its expert is there already
    assert fast.experts == {"colour": assets.experts["colour"]}
    assert load_recipe(fast.recipe).tasks.keys() == {"colour"}
    assert load_recipe(assets.recipe).tasks.keys() == {"colour", "slow_colour"}
