import pytest
import yaml

from deploy.simulate.documents import read_document
from deploy.simulate.fleet import Fleet, kinds_of
from deploy.simulate.gpus import find_gpu, known_gpus
from merge_builder.errors import InputError

GIB = 1 << 30


def fleet(*groups, **keys):
    return Fleet.model_validate({"groups": list(groups), **keys})


def test_a_node_keeps_the_usable_share_less_the_workspace():
    (kind,) = kinds_of(fleet({"name": "t4", "gpu": "t4-16gb", "nodes": 3}, usable=0.8, workspace="2GiB"))
    assert (kind.nodes, kind.budget, kind.speed, kind.share) == (3, 10 * GIB, 1.0, 1.0)


def test_speeds_are_what_the_weaker_of_arithmetic_and_memory_allows():
    assert find_gpu("l4-24gb").speed == pytest.approx(300 / 320)  # 1.9 times a T4's arithmetic
    assert find_gpu("a100-80gb").speed == pytest.approx(312 / 65)
    assert find_gpu("h200-141gb").speed == pytest.approx(4800 / 320)
    assert next(iter(known_gpus())) == "t4-16gb"


def test_a_mig_slice_has_sevenths_of_the_arithmetic_and_eighths_of_the_memory():
    group = {"name": "mig", "gpu": "h100-80gb", "slice": "2g.20gb", "nodes": 7}
    (kind,) = kinds_of(fleet(group, usable=1, workspace="0"))
    assert kind.budget == pytest.approx(79.6 * GIB / 4, abs=1)
    assert kind.share == pytest.approx(2 / 7)
    assert kind.speed == pytest.approx(min(989 / 65 * 2 / 7, 3350 / 320 / 4))


def test_a_fraction_is_a_share_of_everything():
    (kind,) = kinds_of(fleet({"name": "half", "gpu": "t4-16gb", "fraction": 0.5, "nodes": 1}, usable=1, workspace="0"))
    assert (kind.budget, kind.speed, kind.share) == (7.5 * GIB, 0.5, 0.5)


def test_a_workspace_larger_than_the_node_leaves_nothing():
    (kind,) = kinds_of(fleet({"name": "t4", "gpu": "t4-16gb", "nodes": 1}, workspace="20GiB"))
    assert kind.budget == 0


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"gpu": "h100-80"}, "did you mean 'h100-80gb'?"),
        ({"slice": "1g.200gb"}, "'1g.200gb' is no MIG slice"),
        ({"slice": "small"}, "write one such as 1g.10gb"),
        ({"gpu": {"memory": "1GiB", "tflops": 1, "gbps": 1}}, "unknown key 'groups.0.gpu.gbps' (did you mean"),
        ({"gpu": 5}, "groups.0.gpu"),
        ({"nodse": 3}, "unknown key 'groups.0.nodse' (did you mean 'nodes'?)"),
        ({"nodes": 0}, "groups.0.nodes"),
        ({"gpu": {"memory": "much", "tflops": 1, "gb_per_s": 1}}, "'much' is not a size in bytes"),
    ],
)
def test_a_bad_group_is_named_with_the_remedy(tmp_path, change, told):
    path = tmp_path / "fleet.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "a", "gpu": "h100-80gb", "nodes": 1} | change]}))
    with pytest.raises(InputError) as caught:
        read_document(path, Fleet)
    assert str(path) in str(caught.value)
    assert told in str(caught.value)


def test_names_differ(tmp_path):
    path = tmp_path / "fleet.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "a", "gpu": "t4-16gb", "nodes": 1}] * 2}))
    with pytest.raises(InputError, match="two groups are named 'a'"):
        read_document(path, Fleet)


@pytest.mark.parametrize(("text", "told"), [("a: [", "not YAML: line 1"), ("- 1", "the document")])
def test_what_is_no_document_is_told(tmp_path, text, told):
    path = tmp_path / "fleet.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=told):
        read_document(path, Fleet)
    with pytest.raises(InputError, match="cannot read"):
        read_document(tmp_path / "absent.yaml", Fleet)
