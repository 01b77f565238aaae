"""The engine against transformers' own models, put together task by task from the same stored files."""

import json
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from merge_builder.errors import InputError, MergeLadderError
from merge_builder.ladder import Ladder, open_ladder, rung_at
from merge_builder.ladder.store import MANIFEST
from serving.engine.engine import Engine, load_engine
from serving.engine.types import BatchOutput, Encoded

TASKS = ("ant", "bee", "cat", "dog")


def _item(chance: random.Random, tasks: tuple[str, ...], length: int | None = None) -> Encoded:
    length = length or chance.randint(1, 40)
    types = sorted(chance.randrange(2) for _ in range(length))
    return Encoded(tuple(chance.randrange(100) for _ in range(length)), tuple(types), tasks)


def _batch(seed: int, size: int = 8) -> list[Encoded]:
    chance = random.Random(seed)
    return [_item(chance, tuple(chance.sample(TASKS, chance.randint(1, 4)))) for _ in range(size)]


def _assert_right(engine: Engine, batch: list[Encoded], output: BatchOutput, reference) -> None:
    models = {task: reference(engine.ladder, output.rung, task) for task in TASKS}
    for item, logits in zip(batch, output.logits, strict=True):
        assert set(logits) == set(item.tasks)
        for task, values in logits.items():
            with torch.inference_mode():
                ids, types = torch.tensor([item.input_ids]), torch.tensor([item.token_type_ids])
                expected = models[task](ids, token_type_ids=types).logits[0]
            assert values.dtype == np.float32
            np.testing.assert_allclose(values, expected.numpy(), atol=1e-5)


def _assert_same(a: BatchOutput, b: BatchOutput) -> None:
    for left, right in zip(a.logits, b.logits, strict=True):
        assert left.keys() == right.keys()
        for task, values in left.items():
            np.testing.assert_array_equal(values, right[task])


def _middle(ladder: Ladder, part: float) -> int:
    return int(part * (len(ladder.manifest.rungs) - 1))


@pytest.mark.parametrize("pooler", [True, False])
@pytest.mark.parametrize("granularity", ["layer", "sublayer", "tensor"])
def test_logits_are_those_of_transformers_at_every_kind_of_rung(make_ladder, reference, granularity, pooler) -> None:
    ladder = make_ladder(granularity, pooler=pooler)
    engine = load_engine(ladder, rung_at(ladder.manifest, 0))
    for part in (0, 0.2, 0.5, 0.8, 0.95, 1):
        engine.swap(rung_at(ladder.manifest, _middle(ladder, part)))
        batch = _batch(seed=int(part * 100))
        _assert_right(engine, batch, engine.run(batch), reference)


@pytest.mark.parametrize("part", [0, 0.5, 1])
def test_a_lone_input_is_computed_alike(make_ladder, reference, part: float) -> None:
    ladder = make_ladder("sublayer")
    engine = load_engine(ladder, rung_at(ladder.manifest, _middle(ladder, 0.3)))
    items = (_item(random.Random(1), ("cat",), length=1), _item(random.Random(2), TASKS))
    for rung in (engine.rung, rung_at(ladder.manifest, _middle(ladder, part))):  # plans are kept, but not over a change
        engine.swap(rung)
        for item in (*items, *items):
            _assert_right(engine, [item], engine.run([item]), reference)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_16_bit_weights_compute_and_count_as_float32(make_ladder, reference, dtype: torch.dtype) -> None:
    ladder = make_ladder("sublayer", dtype=dtype)
    engine = load_engine(ladder, rung_at(ladder.manifest, _middle(ladder, 0.5)))
    batch = _batch(seed=3)

    _assert_right(engine, batch, engine.run(batch), reference)
    assert sum(engine.bytes_loaded.values()) == 2 * engine.rung.size.bytes


@pytest.mark.parametrize("granularity", ["sublayer", "tensor"])
def test_8_bit_matrices_answer_nearly_alike_and_take_a_quarter(make_ladder, granularity: str) -> None:
    ladder = make_ladder(granularity)
    batch = _batch(seed=9)
    last = len(ladder.manifest.rungs) - 1
    engine = load_engine(ladder, rung_at(ladder.manifest, last), dtype="int8")
    for index in (0, last // 2, last):
        rung = rung_at(ladder.manifest, index)
        engine.swap(rung)
        exact, output = load_engine(ladder, rung).run(batch), engine.run(batch)
        pairs = [
            (values, right[task])
            for got, right in zip(output.logits, exact.logits, strict=True)
            for task, values in got.items()
        ]
        got, right = (np.concatenate(side) for side in zip(*pairs, strict=True))
        assert np.linalg.norm(got - right) < 0.15 * np.linalg.norm(right)
        assert not np.allclose(got, right, atol=1e-5)

    # The last rung has one version of every matrix: 3 layers of 4 * 32 * 32 + 2 * 32 * 48, and the pooler's 32 * 32.
    weights, outputs = 3 * (4 * 32 * 32 + 2 * 32 * 48) + 32 * 32, 3 * (4 * 32 + 48 + 32) + 32
    saved = 3 * weights - 12 * outputs
    assert sum(engine.bytes_loaded.values()) == engine.rung.size.bytes - saved


def test_8_bits_are_for_the_cpu(make_ladder) -> None:
    ladder = make_ladder("layer")
    with pytest.raises(InputError, match="int8 computes on the CPU alone, not on cuda"):
        load_engine(ladder, rung_at(ladder.manifest, 0), device="cuda", dtype="int8")


def test_fan_out_at_the_last_rung_is_one_pass_and_at_the_first_one_each(make_ladder) -> None:
    ladder = make_ladder("sublayer")
    item = _item(random.Random(0), TASKS, length=10)
    last = load_engine(ladder, rung_at(ladder.manifest, len(ladder.manifest.rungs) - 1)).run([item])
    first = load_engine(ladder, rung_at(ladder.manifest, 0)).run([item])

    assert (last.tokens, last.layer_tokens) == (10, 3 * 10)
    assert (first.tokens, first.layer_tokens) == (10, 3 * 10 * len(TASKS))


def test_fan_out_costs_what_the_blocks_passed_have_parted(make_ladder) -> None:
    ladder = make_ladder("sublayer")
    rung = rung_at(ladder.manifest, _middle(ladder, 0.8))
    item = _item(random.Random(0), TASKS, length=10)
    expected, passed = 0, [name for name in rung.versions if name.startswith("embeddings")]
    for layer in range(3):
        own = f"layers.{layer}." if layer < 2 else "layers.2.attention"  # what follows is the tail's
        passed += [name for name in rung.versions if name.startswith(own) and name != "layers.2.attention.norm"]
        expected += 10 * len({tuple(rung.versions[name][task].id for name in passed) for task in TASKS})

    assert 3 * 10 < expected < 3 * 10 * len(TASKS)
    assert load_engine(ladder, rung).run([item]).layer_tokens == expected


def test_an_answer_does_not_depend_on_the_company(make_ladder) -> None:
    ladder = make_ladder("sublayer")
    engine = load_engine(ladder, rung_at(ladder.manifest, _middle(ladder, 0.6)))
    batch = _batch(seed=5)
    together = engine.run(batch)
    for item, logits in zip(batch, together.logits, strict=True):
        for task, values in engine.run([item]).logits[0].items():
            np.testing.assert_allclose(values, logits[task], atol=1e-5)


def test_swapping_up_and_down_equals_a_fresh_load(make_ladder) -> None:
    ladder = make_ladder("sublayer")
    batch = _batch(seed=6)
    last = len(ladder.manifest.rungs) - 1
    engine = load_engine(ladder, rung_at(ladder.manifest, last))
    for index in (0, last, last // 2, last // 3, last):
        rung = rung_at(ladder.manifest, index)
        engine.swap(rung)
        fresh = load_engine(ladder, rung)
        output = engine.run(batch)
        assert output.rung is engine.rung is rung
        _assert_same(output, fresh.run(batch))
        assert engine.bytes_loaded == fresh.bytes_loaded
        assert sum(engine.bytes_loaded.values()) == rung.size.bytes


def test_a_swap_reads_only_the_versions_that_differ(make_ladder) -> None:
    ladder = make_ladder("sublayer")
    here, there = (rung_at(ladder.manifest, _middle(ladder, part)) for part in (0.4, 0.6))
    batch = _batch(seed=7)
    expected = load_engine(ladder, there).run(batch)
    engine = load_engine(ladder, here)
    kept = {(v.block, v.id) for v in here.stored()} & {(v.block, v.id) for v in there.stored()}
    assert kept
    for version in there.stored():
        if (version.block, version.id) in kept:
            ladder.version_path(version).unlink()
    engine.swap(there)

    _assert_same(engine.run(batch), expected)


@pytest.mark.parametrize("damage", ["missing", "cut short", "of other shapes"])
def test_a_swap_that_fails_names_the_file_and_stays_on_its_rung(make_ladder, damage: str) -> None:
    ladder = make_ladder("sublayer")
    engine = load_engine(ladder, rung_at(ladder.manifest, 0))
    batch = _batch(seed=8)
    before = engine.run(batch)
    target = rung_at(ladder.manifest, len(ladder.manifest.rungs) - 1)
    path = ladder.version_path(target.stored()[0])
    if damage == "missing":
        path.unlink()
    elif damage == "cut short":
        path.write_bytes(path.read_bytes()[:-7])
    else:
        path.write_bytes(ladder.version_path(target.stored()[1]).read_bytes())

    with pytest.raises(MergeLadderError, match=f"{path}.*mergeladder verify"):
        engine.swap(target)
    _assert_same(engine.run(batch), before)


def test_weights_are_mapped_from_their_files(make_ladder) -> None:
    ladder = make_ladder("layer")
    engine = load_engine(ladder, rung_at(ladder.manifest, 0))
    mapped = Path("/proc/self/maps").read_text()

    assert all(str(ladder.version_path(version)) in mapped for version in engine.rung.stored())


def test_runs_and_swaps_from_many_threads_are_each_of_one_rung(make_ladder) -> None:
    ladder = make_ladder("sublayer")
    rungs = [rung_at(ladder.manifest, _middle(ladder, part)) for part in (0, 0.5, 1)]
    engine = load_engine(ladder, rungs[0])
    batches = [_batch(seed, size=3) for seed in range(4)]
    expected = {(r.name, n): load_engine(ladder, r).run(batch) for r in rungs for n, batch in enumerate(batches)}

    with ThreadPoolExecutor(4) as pool:
        outputs = [(number % 4, pool.submit(engine.run, batches[number % 4])) for number in range(60)]
        for number in range(12):
            engine.swap(rungs[number % 3])
        for number, output in outputs:
            _assert_same(output.result(), expected[output.result().rung.name, number])


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (Encoded((1, 2), (0, 0), ("eel",)), "no task 'eel': it has ant, bee, cat, dog"),
        (Encoded((1, 2), (0, 0), ()), "names no task"),
        (Encoded((), (), ("ant",)), "0 token ids"),
        (Encoded((1, 2), (0,), ("ant",)), "2 token ids and 1 token type ids"),
        (Encoded((1,) * 41, (0,) * 41, ("ant",)), "41 tokens and at most 40"),
        (Encoded((1, 100), (0, 0), ("ant",)), "token id out of range: they run from 0 to 99"),
        (Encoded((1, -1), (0, 0), ("ant",)), "token id out of range"),
        (Encoded((1, 2), (0, 2), ("ant",)), "token type id out of range: they run from 0 to 1"),
    ],
)
def test_bad_inputs_are_refused_by_name(make_ladder, item: Encoded, message: str) -> None:
    ladder = make_ladder("layer")
    engine = load_engine(ladder, rung_at(ladder.manifest, 0))
    with pytest.raises(InputError, match=message):
        engine.run([Encoded((1, 2), (0, 0), ("ant",)), item])


def test_an_empty_batch_is_an_empty_answer(make_ladder) -> None:
    ladder = make_ladder("layer")
    output = load_engine(ladder, rung_at(ladder.manifest, 0)).run([])

    assert (output.logits, output.tokens, output.layer_tokens) == ((), 0, 0)


@pytest.mark.parametrize(("stated", "expected"), [(None, 40), (16, 16), (512, 40)])
def test_max_length_is_the_tasks_within_the_models_positions(make_ladder, stated, expected: int) -> None:
    ladder = make_ladder("layer", max_length=stated)
    engine = load_engine(ladder, rung_at(ladder.manifest, 0))

    assert engine.max_length("bee") == expected
    with pytest.raises(InputError, match="no task 'eel'"):
        engine.max_length("eel")


def test_a_head_of_another_kind_is_refused_by_its_task(make_ladder) -> None:
    ladder = make_ladder("layer")
    path = ladder.root / MANIFEST
    path.write_text(path.read_text().replace("classifier.weight", "qa_outputs.weight"))
    ladder = open_ladder(ladder.root)

    with pytest.raises(InputError, match=r"task ant has no classifier\.weight, which a classification"):
        load_engine(ladder, rung_at(ladder.manifest, 0))


def test_a_config_that_chunks_the_feed_forward_changes_nothing(make_ladder, reference) -> None:
    ladder = make_ladder("sublayer")
    path = ladder.base_dir / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"chunk_size_feed_forward": 4}))
    engine = load_engine(ladder, rung_at(ladder.manifest, _middle(ladder, 0.3)))
    batch = [_item(random.Random(n), TASKS, length=12) for n in range(3)]

    _assert_right(engine, batch, engine.run(batch), reference)
