import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from merge_builder.errors import InputError
from merge_builder.merge import merge
from merge_builder.open_files import allow_many, at_once
from merge_builder.recipe import load_recipe

from .conftest import fine_tune, random_encoder, write_base, write_expert, write_recipe

# What a process of its own is started with, behind a recipe and a folder.
BUILD = (
    "import sys; from pathlib import Path; from merge_builder.build import build; "
    "from merge_builder.recipe import load_recipe; "
    "build(load_recipe(Path(sys.argv[1])), Path(sys.argv[2]), threads=8, progress=print)"
)


@pytest.fixture(autouse=True)
def limit() -> Iterator[None]:
    """The limit is as it was afterwards."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def _limit_to(more: int) -> None:
    """Let this process open `more` files; numbers below the limit that are free count, higher ones do not."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(list(Path("/dev/fd").iterdir())) + more, hard))


def test_as_much_at_once_as_there_are_files_for() -> None:
    _limit_to(300)
    assert at_once(2, 50) == 2
    found = at_once(100, 50)
    assert 1 <= found <= 6
    assert at_once(100, 25) >= 2 * found


def test_too_few_files_are_an_error_that_tells_the_remedy() -> None:
    _limit_to(100)
    with pytest.raises(InputError, match=r"500 files .*ulimit -n"):
        at_once(4, 500)


def test_the_limit_is_raised_to_what_the_system_allows() -> None:
    _limit_to(100)
    allow_many()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert soft == hard
    assert at_once(4, 500) == 4


def test_a_build_works_on_as_many_blocks_as_it_has_files_for(tmp_path: Path) -> None:
    weights, tasks = random_encoder(0), [f"task{number}" for number in range(40)]
    write_base(tmp_path / "base", weights)
    for seed, task in enumerate(tasks):
        write_expert(tmp_path / task, fine_tune(weights, seed))
    recipe = write_recipe(tmp_path, tasks, method={"name": "average"})
    command = [sys.executable, "-c", BUILD, recipe, tmp_path / "ladder"]
    # All versions of one block (79 files) and all inputs (41) fit into 256; those of several blocks do not.
    fits = subprocess.run(["sh", "-c", 'ulimit -n 256; "$@"', "sh", *command], capture_output=True, text=True)
    assert fits.returncode == 0, fits.stderr
    shutil.rmtree(tmp_path / "ladder")
    too_few = subprocess.run(["sh", "-c", 'ulimit -n 128; "$@"', "sh", *command], capture_output=True, text=True)
    assert "InputError" in too_few.stderr
    assert "ulimit -n" in too_few.stderr
    assert "comparing experts" in fits.stdout
    assert not too_few.stdout, "the inputs, which may take hours to read, were looked at first"


def test_a_merge_opens_more_experts_than_the_limit_was(tmp_path: Path) -> None:
    weights, tasks = random_encoder(0), [f"task{number}" for number in range(40)]
    write_base(tmp_path / "base", weights)
    for seed, task in enumerate(tasks):
        write_expert(tmp_path / task, fine_tune(weights, seed))
    recipe = load_recipe(write_recipe(tmp_path, tasks, method={"name": "average"}))
    _limit_to(20)
    merge(recipe, tmp_path / "merged")
    assert (tmp_path / "merged" / "model.safetensors").is_file()
