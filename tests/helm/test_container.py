"""The Dockerfile and the compose file, as far as they can be looked at where nothing can run them."""

import re
import shutil
import subprocess
from fnmatch import fnmatch

import pytest
import typer.main
import yaml

from deploy.cli import app

from .charts import ROOT, skip_without
from .tools import tool

DOCKERFILE = ROOT / "deploy/Dockerfile"
TEXT = DOCKERFILE.read_text(encoding="utf-8")
COMPOSE = ROOT / "deploy/compose"
SERVICES = yaml.safe_load((COMPOSE / "compose.yaml").read_text())["services"]


@skip_without("hadolint")
def test_hadolint_has_nothing_to_say() -> None:
    done = subprocess.run([tool("hadolint").path, DOCKERFILE], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (0, "")


def test_what_is_copied_is_there_and_reaches_the_builder() -> None:
    ignored = (ROOT / "deploy/Dockerfile.dockerignore").read_text().splitlines()
    sources = [
        name for line in re.findall(r"^COPY (?!--from)(.*) \S+$", TEXT, flags=re.MULTILINE) for name in line.split()
    ]

    assert len(sources) == 7
    assert ignored[0] == "*"
    for source in sources:
        assert (ROOT / source).exists()
        assert f"!{source}" in ignored
        assert not any(fnmatch(source, pattern) for pattern in ignored[1:] if not pattern.startswith("!"))


def test_it_ends_as_a_user_by_number_with_what_kuberay_needs() -> None:
    final = TEXT[TEXT.rindex("FROM ") :]

    assert re.findall(r"^USER (\S+)$", final, flags=re.MULTILINE) == ["10001:0"]  # runAsNonRoot cannot judge a name
    assert {"wget", "rclone"} <= set(final.split())
    assert "COPY --from=build /install /usr/local" in final
    assert re.fullmatch(r"\d+\.\d+\.\d+-slim-\w+", re.findall(r"^ARG PYTHON=(.*)$", TEXT, flags=re.MULTILINE)[0])
    assert set(re.findall(r"^FROM (\S+)", TEXT, flags=re.MULTILINE)) == {"python:${PYTHON}"}


def test_compose_runs_a_command_that_there_is_and_exposes_nothing_to_others() -> None:
    command, *arguments = SERVICES["server"]["command"]
    group = typer.main.get_command(app)
    serve = group.get_command(typer.Context(group), command)  # type: ignore[attr-defined]
    known = {option for parameter in serve.params for option in parameter.opts}

    assert {argument for argument in arguments if argument.startswith("--")} <= known
    for service in SERVICES.values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))
        assert service["cap_drop"] == ["ALL"]
        assert re.search(r":v?\d+\.\d+\.\d+$", service["image"])


def test_prometheus_scrapes_the_server_and_grafana_has_both_and_the_dashboard() -> None:
    (scraped,) = yaml.safe_load((COMPOSE / "prometheus.yaml").read_text())["scrape_configs"]
    (source,) = yaml.safe_load((COMPOSE / "grafana/datasources/prometheus.yaml").read_text())["datasources"]
    (provider,) = yaml.safe_load((COMPOSE / "grafana/dashboards/mergeladder.yaml").read_text())["providers"]
    mounts = {mount["target"]: mount["source"] for mount in SERVICES["grafana"]["volumes"]}

    assert scraped["static_configs"] == [{"targets": ["server:8000"]}]
    assert source["url"] == "http://prometheus:9090"
    assert set(SERVICES) == {"server", "prometheus", "grafana"}  # the names of the hosts above
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert (COMPOSE / mounts[provider["options"]["path"]] / home.rpartition("/")[2]).is_file()
    for mount in (mount for service in SERVICES.values() for mount in service["volumes"] if mount["type"] == "bind"):
        assert mount["read_only"]
        assert mount["source"].startswith("${LADDER") or (COMPOSE / mount["source"]).exists()


def test_docker_itself_reads_the_compose_files() -> None:
    docker = shutil.which("docker")
    if not docker or subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("docker has no compose plugin here")
    files = ["--file", str(COMPOSE / "compose.yaml"), "--file", str(COMPOSE / "compose.gpu.yaml")]

    subprocess.run([docker, "compose", *files, "config", "--quiet"], env={"LADDER": str(ROOT)}, check=True)
