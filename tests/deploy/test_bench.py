"""The engine as a bench, against ladders built with other methods and against autograd done another way."""

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file
from torch.func import functional_call, grad, vmap
from transformers import AutoImageProcessor, Dinov2ForImageClassification

from deploy.bench import engine_bench, expert_model, squared_gradients
from deploy.runner import engine_runner
from merge_builder.build import build
from merge_builder.evaluation import Row
from merge_builder.ladder import rung_at
from merge_builder.recipe import load_recipe, parse_recipe

from ..images import build_ladder, picture, processor

ROWS = [Row(text=f"w{i} w{2 * i} w{3 * i}", label="x") for i in range(6)]


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """As the command has it; threads that wait for each other are slow on a busy machine."""
    torch.set_num_threads(1)


@pytest.fixture
def other(recipe_file, tmp_path):
    """A ladder of the same experts and trace, merged by another method."""
    recipe = load_recipe(recipe_file)
    document = recipe.model_dump() | {"method": {"name": "ties", "density": 0.5, "scale": 2.0}}
    changed = parse_recipe(document)
    changed._folder = recipe.folder
    return build(changed, tmp_path / "other", threads=1)


@pytest.mark.parametrize("index", [11, 22])
def test_weights_put_in_place_answer_as_a_ladder_built_with_them(ladder, other, index) -> None:
    rung = ladder.manifest.rungs[index]
    theirs = {(v.block, v.tasks): v for v in rung_at(other.manifest, index).stored()}
    versions = {
        v: load_file(other.version_path(theirs[v.block, v.tasks]))
        for v in rung_at(ladder.manifest, index).stored()
        if v.kind == "merged"
    }
    bench, expected, before = engine_bench(ladder), engine_runner(other), engine_runner(ladder)
    untouched = before(rung, "topic", ROWS)
    bench.put(rung, versions)
    for task in ("mood", "topic", "intent"):
        np.testing.assert_array_equal(bench.run(rung, task, ROWS), expected(other.manifest.rungs[index], task, ROWS))
    assert not np.array_equal(bench.run(rung, "topic", ROWS), untouched)
    bench.put(rung, {})
    np.testing.assert_array_equal(bench.run(rung, "topic", ROWS), untouched)


def test_another_rung_is_as_it_is_stored(ladder) -> None:
    last, before = ladder.manifest.rungs[22], ladder.manifest.rungs[21]
    shared = {v for v in rung_at(ladder.manifest, 21).stored() if v.kind == "merged"}
    bench, expected = engine_bench(ladder), engine_runner(ladder)
    bench.put(last, {v: _zeros(ladder, v) for v in rung_at(ladder.manifest, 22).stored() if v in shared})
    np.testing.assert_array_equal(bench.run(before, "mood", ROWS), expected(before, "mood", ROWS))


def _zeros(ladder, version):
    return {name: np.zeros_like(values) for name, values in load_file(ladder.version_path(version)).items()}


@pytest.mark.parametrize("task", ["mood", "topic"])
def test_squared_gradients_are_those_of_vmap(ladder, task) -> None:
    model = expert_model(ladder, task, "text")
    name = "bert.encoder.layer.1.output.dense.weight"
    parameters = dict(model.named_parameters())
    inputs = torch.tensor([[2, 5 + i, 9, 3] for i in range(4)])

    def log_probability(weight: torch.Tensor, ids: torch.Tensor, label: int) -> torch.Tensor:
        out = functional_call(model, parameters | {name: weight}, (), {"input_ids": ids[None]})
        return torch.log_softmax(out.logits[0], dim=0)[label]

    expected = torch.zeros_like(parameters[name])
    for label in range(model.config.num_labels):
        logs = torch.stack([log_probability(parameters[name].detach(), ids, label) for ids in inputs])
        each = vmap(grad(log_probability), in_dims=(None, 0, None))(parameters[name].detach(), inputs, label)
        expected += (logs.exp()[:, None, None] * each**2).mean(dim=0).detach()
    found = squared_gradients(model, {name: parameters[name]}, [{"input_ids": ids[None]} for ids in inputs])
    assert expected.abs().max() > 0
    torch.testing.assert_close(found[name], expected, rtol=1e-4, atol=1e-8)


def test_random_signs_estimate_the_sum_over_many_labels(ladder, monkeypatch) -> None:
    model = expert_model(ladder, "intent", "text")
    with torch.no_grad():
        model.classifier.weight.mul_(0.1)  # no label is all but certain, so few draws tell enough
    weight = {"classifier.weight": model.classifier.weight}
    rows = [{"input_ids": torch.tensor([[2, 5 + i, 9, 3]])} for i in range(4)]
    estimate = squared_gradients(model, weight, rows * 60)["classifier.weight"]
    monkeypatch.setattr("deploy.bench.EXACT_LABELS", 4)
    exact = squared_gradients(model, weight, rows)["classifier.weight"]
    assert estimate.sum() == pytest.approx(float(exact.sum()), rel=0.2)
    assert torch.corrcoef(torch.stack([estimate.flatten(), exact.flatten()]))[0, 1] > 0.9


def test_curvature_is_at_the_weights_given_and_leaves_the_expert_alone_elsewhere(ladder) -> None:
    bench, name = engine_bench(ladder), "encoder.layer.1.output.dense.weight"
    model = expert_model(ladder, "mood", "text")
    own = dict(model.named_parameters())[f"bert.{name}"]
    at_expert = bench.curvature("mood", {name: own.detach().numpy()}, ROWS)
    tokens = [[2, *(5 + int(word[1:]) for word in row.text.split()), 3] for row in ROWS]
    expected = squared_gradients(model, {name: own}, [{"input_ids": torch.tensor([ids])} for ids in tokens])
    assert at_expert.keys() == {name}
    np.testing.assert_allclose(at_expert[name], expected[name].numpy(), rtol=1e-4, atol=1e-9)
    elsewhere = bench.curvature("mood", {name: 2 * own.detach().numpy()}, ROWS)
    assert not np.allclose(elsewhere[name], at_expert[name], rtol=0.01)
    again = bench.curvature("mood", {name: own.detach().numpy()}, ROWS)
    np.testing.assert_array_equal(again[name], at_expert[name])


def test_curvature_of_an_image_task_is_that_of_transformers(tmp_path) -> None:
    """Its positions, brought to the image's size, have gradients too; nothing passes through the mask token."""
    ladder = build_ladder(tmp_path, {"hue": processor(12)})
    for number in range(3):
        (tmp_path / f"{number}.png").write_bytes(picture(number, "PNG", size=(40, 30)))
    rows = [Row(image=tmp_path / f"{number}.png", label="x") for number in range(3)]
    model = Dinov2ForImageClassification.from_pretrained(tmp_path / "hue").eval()
    shrink = AutoImageProcessor.from_pretrained(tmp_path / "hue", backend="pil")
    names = ["embeddings.position_embeddings", "encoder.layer.1.mlp.fc1.weight", "embeddings.mask_token"]
    weights = {name: dict(model.named_parameters())[f"dinov2.{name}"] for name in names}
    expected = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    for row in rows:
        logs = torch.log_softmax(model(**shrink(Image.open(row.image), return_tensors="pt")).logits[0], dim=0)
        for log in logs:
            for name in names[:2]:
                (found,) = torch.autograd.grad(log, weights[name], retain_graph=True)
                expected[name] += log.exp().detach() * found**2 / len(rows)
    found = engine_bench(ladder).curvature("hue", {n: w.detach().numpy() for n, w in weights.items()}, rows)
    assert expected[names[0]].abs().max() > 0
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values.numpy(), rtol=1e-3, atol=1e-9)
