"""docs/kubernetes.md says what the chart has, and its commands name what there is."""

import re
import runpy
import shlex

import yaml

from .charts import CHART, EXAMPLES, ROOT, helm, skip_without
from .tools import TOOLS

PAGE = (ROOT / "docs/kubernetes.md").read_text(encoding="utf-8")
COMMANDS = [
    shlex.split(line, comments=True)
    for block in re.findall(r"```sh\n(.*?)```", PAGE, flags=re.DOTALL)
    for line in block.replace("\\\n", " ").splitlines()
]


def pinned(package: str) -> str:
    (version,) = re.findall(rf"^{package}==(\S+)$", (ROOT / "constraints.txt").read_text(), flags=re.MULTILINE)
    return str(version)


def test_its_tables_are_those_of_the_chart() -> None:
    with_tables = runpy.run_path(str(ROOT / "helm/values_table.py"))["with_tables"]

    assert with_tables(PAGE) == PAGE, "run `python helm/values_table.py`"


def test_every_value_is_in_the_table_with_its_default() -> None:
    table = dict(re.findall(r"^\| `([\w.]+)` \| (.*?) \| ", PAGE, flags=re.MULTILINE))
    defaults = yaml.safe_load((CHART / "values.yaml").read_text())

    def told(key: str, value: object) -> bool:
        if isinstance(value, dict) and value and not table.get(key):
            return all(told(f"{key}.{name}", inner) for name, inner in value.items())
        return key in table and yaml.safe_load(table[key].strip("`") or "''") == value

    assert [key for key, value in defaults.items() if not told(key, value)] == []


@skip_without("helm-4")
def test_its_installs_render() -> None:
    installs = [command for command in COMMANDS if command[:1] == ["helm"] and "helm/mergeladder" in command]
    assert len(installs) == 2
    for _, *arguments in installs:
        arguments[arguments.index("install")] = "template"
        given = [str(ROOT / argument) if (ROOT / argument).exists() else argument for argument in arguments]
        assert "kind: RayService" in helm("helm-4", *given)


@skip_without("helm-4")
def test_the_notes_after_an_install_name_what_there_is() -> None:
    insecure = ["--set", "auth.insecure=true", "--set", "ladder.claim.name=ladders"]
    install = ["install", "ladder", str(CHART), "--namespace", "models", "--dry-run=client"]
    open_to_all = helm("helm-4", *install, *insecure).partition("NOTES:")[2]
    with_keys = helm("helm-4", *install, "--values", str(ROOT / "examples/kubernetes/mixed-fleet.yaml"))

    assert "svc/ladder-serve-svc 8000" in open_to_all
    assert "mergeladder.io/release=ladder" in open_to_all
    assert "anyone who can reach a pod may ask it" in open_to_all
    assert "Authorization" not in open_to_all
    assert "Authorization: Bearer" in with_keys
    assert "https://models.example.com/" in with_keys


def test_it_names_the_examples_and_the_versions_that_there_are() -> None:
    assert set(re.findall(r"\(\.\./examples/kubernetes/(\S+)\)", PAGE)) == {path.name for path in EXAMPLES}
    assert {tool.name for tool in TOOLS if tool.name.startswith("helm")} == {
        f"helm-{version}" for version in re.findall(r"\d+\.\d+\.\d+", PAGE[PAGE.index("- Helm ") :].splitlines()[0])
    }


def test_the_chart_is_of_this_version_and_this_ray() -> None:
    version = re.findall(r'^version = "(.*)"', (ROOT / "pyproject.toml").read_text(), flags=re.MULTILINE)[0]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())

    assert chart["appVersion"] == version
    assert values["rayVersion"] == pinned("ray")
