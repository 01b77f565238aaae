"""The Grafana dashboard asks for series that the server has, by labels that they carry."""

import json
import re
from pathlib import Path

import pytest
from prometheus_client.core import Metric

from merge_builder.build import build
from merge_builder.ladder import rung_at
from merge_builder.recipe import load_recipe
from serving.engine.engine import load_engine
from serving.service import Choice, Service

DASHBOARD = json.loads((Path(__file__).parents[2] / "deploy/dashboard/mergeladder.json").read_text(encoding="utf-8"))
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES = [target["expr"] for panel in PANELS for target in panel["targets"]]
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}
SCRAPED = {"instance", "replica", "le"}  # labels that Prometheus, the merging of replicas and histograms add


@pytest.fixture(scope="module")
def families(recipe_file: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Metric]:
    """All that a server which has a budget tells."""
    ladder = build(load_recipe(recipe_file), tmp_path_factory.mktemp("dashboard") / "ladder", threads=1)
    service = Service(load_engine(ladder, rung_at(ladder.manifest, 0)), Choice(1000, "it fits"))
    return list(service.metrics.registry.collect())


def test_every_series_exists_and_no_family_is_forgotten(families: list[Metric]) -> None:
    known = {family.name + suffix: family.name for family in families for suffix in SUFFIXES[family.type]}
    asked = set(re.findall(r"mergeladder_\w+", json.dumps(DASHBOARD)))

    assert len(QUERIES) > 20
    assert asked <= set(known)
    created = {family.name for family in families if family.name.endswith("_created")}
    assert {family.name for family in families} - created == {known[name] for name in asked}


def test_labels_are_those_of_the_server() -> None:
    source = "".join(
        (Path(__file__).parents[2] / "serving" / name).read_text() for name in ("metrics.py", "rung_metrics.py")
    )
    asked = {label for names in re.findall(r"by \(([^)]+)\)", " ".join(QUERIES)) for label in names.split(", ")}
    legends = re.findall(r"{{(\w+)}}", json.dumps(PANELS))

    assert {"task", "code", "rung"} <= asked
    for label in {*asked, *legends} - SCRAPED:
        assert f'"{label}"' in source


def test_panels_do_not_overlap_and_say_what_they_show() -> None:
    cells = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        own = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not own & cells
        cells |= own
        assert panel["title"]
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
