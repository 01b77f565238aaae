"""What the README tells people to type works as it stands there."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROGRAM = Path(sys.executable).with_name("mergeladder")
README = (ROOT / "README.md").read_text(encoding="utf-8")


def fenced(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


@pytest.fixture
def models(recipe_file: Path, tmp_path: Path) -> Path:
    for name, source in (("base", "base"), ("reviews", "mood"), ("topics", "topic")):
        shutil.copytree(recipe_file.parent / source, tmp_path / "models" / name)
    (tmp_path / "recipe.yaml").write_text(fenced("yaml")[0])
    return tmp_path


def test_the_commands_run_in_their_order(models: Path) -> None:
    lines = [shlex.split(line, comments=True) for block in fenced("sh") for line in block.splitlines()]
    commands = [line for line in lines if line[:1] == ["mergeladder"] and line[1] != "serve"]
    assert [command[1] for command in commands] == ["build", "inspect", "verify", "export", "merge"]
    for command in commands:
        subprocess.run([PROGRAM, *command[1:]], cwd=models, check=True, capture_output=True)
    assert (models / "topics-1.5x" / "model.safetensors").exists()


def test_make_knows_what_is_told() -> None:
    targets = [line.split()[1] for block in fenced("sh") for line in block.splitlines() if line.startswith("make ")]
    assert targets == ["demo", "test"]
    for target in targets:
        subprocess.run(["make", "-n", target], cwd=ROOT, check=True, capture_output=True)


def test_links_lead_somewhere() -> None:
    for document in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")):
        for link in re.findall(r"\]\(([^)#]+)\)", document.read_text(encoding="utf-8")):
            if "://" not in link:
                assert (document.parent / link).exists(), f"{document.name} links to {link}"
