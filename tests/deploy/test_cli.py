"""The command as a whole: help, version, usage errors, and how errors end."""

import os
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import pytest

from deploy import cli

COMMANDS = [
    "build",
    "demo",
    "evaluate",
    "export",
    "hash-key",
    "inspect",
    "merge",
    "report",
    "serve",
    "simulate",
    "verify",
]


def command_line(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("mergeladder")), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ | environment, check=False)


def test_help_names_every_command_without_loading_a_model_library():
    times = []
    for _ in range(3):
        started = time.perf_counter()
        shown = command_line("--help")
        times.append(time.perf_counter() - started)
        assert shown.returncode == 0
        assert all(name in shown.stdout for name in COMMANDS)
    assert min(times) < 1.5  # a third of that on an idle machine; torch alone takes longer


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(mergeladder, command):
    shown = mergeladder(command, "--help")
    assert shown.code == 0
    assert "Usage: mergeladder" in shown.out


def test_the_command_line_loads_nothing_heavy():
    heavy = "{'torch', 'ray', 'transformers', 'fastapi', 'numpy', 'pydantic'} & set(sys.modules)"
    shown = subprocess.run(
        [sys.executable, "-c", f"import sys, deploy.cli; print({heavy})"], capture_output=True, text=True, check=True
    )
    assert shown.stdout.strip() == "set()"


def test_the_process_that_starts_ray_has_no_torch():
    loaded = "{'torch', 'transformers'} & set(sys.modules)"
    shown = subprocess.run(
        [sys.executable, "-c", f"import sys, deploy.local, deploy.app; print({loaded})"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout.strip() == "set()"


def test_version(mergeladder):
    shown = mergeladder("--version")
    assert (shown.code, shown.out.strip()) == (0, f"mergeladder {version('mergeladder')}")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["inspekt", "ladder"], "inspect"),
        (["inspect"], "LADDER"),
        (["inspect", "ladder", "--bugdet", "1GB"], "--bugdet"),
        (["build", "recipe.yaml", "out", "--threads", "0"], "--threads"),
        (["serve", "ladder", "--port", "many"], "--port"),
        (["serve", "ladder", "--dtype", "float16"], "'--dtype': 'float16' is not one of 'float32', 'int8'"),
    ],
)
def test_wrong_usage_is_exit_code_2_and_names_the_culprit(mergeladder, arguments, named):
    failed = mergeladder(*arguments)
    assert (failed.code, failed.out) == (2, "")
    assert named in failed.err


def test_with_json_an_error_is_the_one_document(mergeladder, tmp_path):
    failed = mergeladder("inspect", tmp_path, "--json")
    error = failed.document["error"]
    assert failed.code == error["exit_code"] == 2
    assert error["type"] == "InputError"
    assert str(tmp_path) in error["message"]
    assert error["message"] in failed.err


def test_with_json_wrong_usage_is_the_one_document_too(mergeladder):
    assert mergeladder("inspect", "--json").document["error"]["exit_code"] == 2


@pytest.mark.parametrize(("stdout", "told"), [(">/dev/full", "No space left"), (">&-", "output is closed")])
def test_a_document_that_cannot_be_written_is_an_error_in_one_line(ladder, tmp_path, stdout, told):
    for folder, code, message in ((ladder.root, 1, told), (tmp_path, 2, "not a ladder")):
        script = f'exec "$0" inspect "$1" --json {stdout}'
        command = ["sh", "-c", script, str(Path(sys.executable).with_name("mergeladder")), str(folder)]
        failed = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
        assert failed.returncode == code
        assert failed.stderr.startswith("error: ")
        assert message in failed.stderr
        assert len(failed.stderr.splitlines()) == 1


def test_an_unforeseen_error_is_one_line_and_a_traceback_only_on_demand(mergeladder, monkeypatch):
    def broken(_path: object) -> None:
        raise ZeroDivisionError("no such number")

    monkeypatch.setattr("merge_builder.ladder.open_ladder", broken)
    failed = mergeladder("inspect", "ladder")
    assert failed.code == 1
    assert failed.err.startswith("error: ZeroDivisionError: no such number")
    assert len(failed.err.strip().splitlines()) == 1
    monkeypatch.setenv("MERGELADDER_DEBUG", "1")
    assert "Traceback" in mergeladder("inspect", "ladder").err


def test_an_interrupt_is_exit_code_130_without_a_traceback(mergeladder, monkeypatch):
    def interrupted(_path: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("merge_builder.ladder.open_ladder", interrupted)
    stopped = mergeladder("inspect", "ladder")
    assert (stopped.code, stopped.err) == (130, "")


def test_main_leaves_with_the_exit_code(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "argv", ["mergeladder", "inspect", str(tmp_path)])
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == 2
