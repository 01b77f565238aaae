"""What `serve` refuses, before Ray starts. That it serves is tests/e2e's."""

import socket
import subprocess
import sys

import pytest
import yaml

TELL_RAY = (
    "import sys; from deploy.cli import run; code = run(sys.argv[1:]); print('ray' in sys.modules); sys.exit(code)"
)


def serve(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", TELL_RAY, "serve", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture
def taken_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_budget_below_every_rung(ladder):
    refused = serve(ladder.root, "--budget", "1KiB")
    assert (refused.returncode, refused.stdout.strip()) == (2, "False")
    assert str(min(rung.bytes for rung in ladder.manifest.rungs)) in refused.stderr


def test_a_budget_and_a_rung(ladder):
    refused = serve(ladder.root, "--budget", "1GB", "--rung", "1")
    assert (refused.returncode, refused.stdout.strip()) == (2, "False")
    assert "leave one of them out" in refused.stderr


def test_no_ladder(tmp_path):
    refused = serve(tmp_path)
    assert (refused.returncode, refused.stdout.strip()) == (2, "False")
    assert str(tmp_path) in refused.stderr


@pytest.mark.parametrize("how", [(), ("--no-ray",)], ids=["ray", "alone"])
def test_a_port_in_use(ladder, taken_port, how):
    refused = serve(ladder.root, "--rung", "1", "--port", taken_port, *how)
    assert (refused.returncode, refused.stdout.strip()) == (2, "False")
    assert f"port {taken_port}" in refused.stderr
    assert "--port" in refused.stderr


def test_other_machines_only_with_keys_or_a_word(ladder):
    refused = serve(ladder.root, "--rung", "1", "--host", "0.0.0.0")
    assert (refused.returncode, refused.stdout.strip()) == (2, "False")
    assert "--keys" in refused.stderr
    assert "--insecure" in refused.stderr


def test_insecure_is_taken_at_its_word(ladder, taken_port):
    refused = serve(ladder.root, "--rung", "1", "--host", "0.0.0.0", "--insecure", "--port", taken_port)
    assert (refused.returncode, refused.stdout.strip()) == (2, "False")
    assert f"port {taken_port}" in refused.stderr


def test_a_file_that_holds_no_keys(ladder, tmp_path):
    (tmp_path / "keys").write_text("a-plain-key-in-the-file")
    refused = serve(ladder.root, "--rung", "1", "--keys", tmp_path / "keys")
    assert (refused.returncode, refused.stdout.strip()) == (2, "False")
    assert "hash-key" in refused.stderr
    assert "a-plain-key" not in refused.stderr


def test_the_type_of_the_weights_is_in_the_configuration(mergeladder, ladder):
    for options, dtype in (((), "float32"), (("--dtype", "int8"), "int8")):
        told = mergeladder("serve", ladder.root, "--rung", "1", "--print-config", *options)
        (application,) = yaml.safe_load(told.out)["applications"]
        assert application["args"]["dtype"] == dtype
    refused = mergeladder("serve", ladder.root, "--dtype", "int4")
    assert refused.code == 2
    assert "int4" in refused.err


def test_a_configuration_for_ray_without_ray(mergeladder, ladder):
    refused = mergeladder("serve", ladder.root, "--no-ray", "--print-config")
    assert (refused.code, refused.out) == (2, "")
    assert "--no-ray" in refused.err
    assert "--print-config" in refused.err
