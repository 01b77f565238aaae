"""Plans, days and the fleet that is needed, on a pico ladder and twenty nodes of which four hold nothing."""

import json
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import numpy as np
import pytest

from deploy.simulate.day import share_in_time, simulate_day
from deploy.simulate.needed import in_proportion, nodes_needed
from deploy.simulate.picture import draw
from deploy.simulate.plan import plans_for
from deploy.simulate.report import policy_table, simulation_document
from deploy.simulate.scale import Scale
from deploy.simulate.scores import scores_of
from deploy.simulate.simulation import simulate
from merge_builder.errors import InputError
from merge_builder.ladder import choose

from .conftest import scored

OURS, SMALLEST, EXPERTS = "largest rung per node", "1x everywhere", "all experts"


@pytest.fixture
def plans(scored_ladder, small_fleet, small_load, times):
    manifest = scored_ladder.manifest
    return plans_for(manifest, scores_of(manifest), small_fleet(scored_ladder), small_load, times, Scale())


@pytest.fixture
def simulated(scored_ladder, small_fleet, small_load, times):
    def run(seed=0, progress=lambda _: None, **load):
        changed = small_load.model_copy(update=load)
        fleet = small_fleet(scored_ladder)
        return simulate(scored_ladder.manifest, fleet, changed, times, Scale(), seed=seed, progress=progress)

    return run


def test_each_policy_gives_nodes_the_rungs_that_it_says(plans, scored_ladder):
    rungs = scored_ladder.manifest.rungs
    middle = choose(scored_ladder.manifest, rungs[len(rungs) // 2].bytes)
    assert plans[OURS].rungs == [rungs[0], middle, None]
    assert plans[SMALLEST].rungs == [rungs[-1], rungs[-1], None]
    assert plans[EXPERTS].rungs == [rungs[0], None, None]


def test_a_scale_makes_rungs_larger_and_batches_longer(scored_ladder, small_fleet, small_load, times, plans):
    manifest = scored_ladder.manifest
    twice = plans_for(
        manifest, scores_of(manifest), small_fleet(scored_ladder), small_load, times, Scale(bytes=2.0, seconds=3.0)
    )
    assert twice[OURS].rungs[0] == choose(manifest, manifest.rungs[0].bytes // 2)
    assert twice[EXPERTS].rungs == [None] * 3
    assert twice[SMALLEST].seconds[0, 1:] == pytest.approx(3 * plans[SMALLEST].seconds[0, 1:])


def test_accuracy_is_the_scores_and_straight_between_them(plans, scored_ladder, accuracies):
    experts, one = accuracies
    assert plans[EXPERTS].scores[0] == pytest.approx(experts)
    assert plans[SMALLEST].scores[1] == pytest.approx(one)
    size, rungs = plans[OURS].rungs[1], scored_ladder.manifest.rungs
    share = (size.ratio - rungs[-1].ratio) / (rungs[0].ratio - rungs[-1].ratio)
    assert 0 < share < 1
    assert plans[OURS].scores[1] == pytest.approx(one + share * (experts - one))


def test_a_ladder_without_scores_is_refused(ladder):
    with pytest.raises(InputError, match="mergeladder evaluate"):
        scores_of(ladder.manifest)


def test_policies_come_in_the_order_that_sense_demands(simulated):
    found = simulated().outcomes
    offered = found[OURS].day.offered
    assert offered.mean() == pytest.approx(1200, rel=0.03)
    assert all(np.array_equal(offered, outcome.day.offered) for outcome in found.values())
    goodput = {name: outcome.day.goodput.mean() for name, outcome in found.items()}
    assert goodput[SMALLEST] >= goodput[OURS] > 0.98 * offered.mean()
    assert goodput[EXPERTS] < 0.8 * offered.mean()
    right = {name: outcome.day.judged.scores.mean() for name, outcome in found.items()}
    assert right[OURS] > max(right[SMALLEST], right[EXPERTS])
    needed = {name: outcome.needed_gpus for name, outcome in found.items()}
    assert needed[SMALLEST] <= needed[OURS] < needed[EXPERTS]
    assert (found[OURS].gpus, found[OURS].serving_gpus, found[EXPERTS].serving_gpus) == (20, 16, 6)


def test_right_answers_weigh_each_task_by_its_share(simulated, accuracies):
    outcome = simulated(zipf=1.0, peak_spread_hours=0).outcomes[SMALLEST]
    share = np.array([6, 3, 2]) / 11
    judged, answered = outcome.day.judged, outcome.day.goodput.sum()
    assert judged.scores.sum() / answered == pytest.approx(share @ accuracies[1], rel=0.01)
    assert judged.experts.sum() / answered == pytest.approx(share @ accuracies[0], rel=0.01)


def test_rank_correlations_are_told_apart_from_right_answers(ladder, tmp_path, small_fleet, small_load, times):
    mixed = scored(ladder, tmp_path, embeddings=["intent"])
    load = small_load.model_copy(update={"zipf": 1.0, "peak_spread_hours": 0})
    found = simulate(mixed.manifest, small_fleet(mixed), load, times, Scale(), seed=0, progress=lambda _: None)
    day = found.outcomes[SMALLEST].day
    told = simulation_document(found)["policies"][SMALLEST]

    mood, topic, intent = np.array([6, 3, 2]) / 11 * day.goodput.mean()  # answers a second
    assert told["right"] == pytest.approx(0.6 * mood + 0.8 * topic, rel=0.04)
    assert told["accuracy"] == pytest.approx((0.6 * mood + 0.8 * topic) / (mood + topic), rel=0.01)
    assert told["of_experts"] == pytest.approx((0.6 * mood + 0.8 * topic) / (0.9 * mood + 0.8 * topic), rel=0.01)
    assert (told["rank_correlation"], told["rank_correlation_of_experts"]) == pytest.approx((0.5, 0.5))
    assert day.ranked.answered.mean() == pytest.approx(intent, rel=0.04)
    assert "rank correlation, % of experts'" in [*policy_table(found).columns[0].cells]
    assert "of tasks with right answers" in draw(found)


def test_where_no_answer_is_right_or_wrong_none_is_counted(ladder, tmp_path, small_fleet, small_load, times):
    embeddings = scored(ladder, tmp_path, embeddings=["mood", "topic", "intent"])
    found = simulate(
        embeddings.manifest, small_fleet(embeddings), small_load, times, Scale(), seed=0, progress=lambda _: None
    )
    told = simulation_document(found)["policies"][OURS]

    assert (told["right"], told["accuracy"], told["of_experts"], told["hours"]["right"]) == (None,) * 4
    assert 0.5 < told["rank_correlation_of_experts"] < 1
    assert not any("right" in cell or "accuracy" in cell for cell in policy_table(found).columns[0].cells)
    assert draw(found).count(f">{OURS}</text>") == 1


def test_equal_arguments_give_equal_bits(simulated):
    first, second, other = (json.dumps(simulation_document(simulated(seed=seed))) for seed in (5, 5, 6))
    assert first == second
    assert first != other


def test_progress_names_the_policies(simulated):
    told = []
    simulated(progress=told.append)
    assert told == [OURS, SMALLEST, EXPERTS]


def test_a_fleet_that_holds_no_rung_is_refused(scored_ladder, small_fleet, small_load, times):
    with pytest.raises(InputError, match="no node of this fleet holds any rung: the smallest takes"):
        simulate(
            scored_ladder.manifest,
            small_fleet(scored_ladder),
            small_load,
            times,
            Scale(bytes=1e6),
            seed=0,
            progress=lambda _: None,
        )


def test_where_no_node_serves_everything_is_refused(plans, small_load, accuracies):
    idle = replace(plans[EXPERTS], rungs=[None] * 3)
    day = simulate_day(idle, small_load, accuracies[0], np.array([True] * 3), seed=0)
    assert (day.goodput.sum(), day.judged.scores.sum(), day.judged.of_experts, day.in_time) == (0, 0, None, 0)
    assert day.refused == pytest.approx(day.offered.sum() * small_load.window_seconds)
    assert nodes_needed(idle, small_load, 3, seed=0) is None


def test_the_nodes_needed_are_enough_and_a_few_less_are_not(plans, small_load):
    needed = nodes_needed(plans[OURS], small_load, 3, seed=0)
    hour = max(small_load.hours, key=lambda hour: small_load.rates(hour, 3).sum())
    assert needed == in_proportion([6, 10, 4], sum(needed))
    fewer = in_proportion([6, 10, 4], round(0.85 * sum(needed)))
    assert share_in_time(plans[OURS], needed, small_load, hour, 3, seed=0) >= small_load.target
    assert share_in_time(plans[OURS], fewer, small_load, hour, 3, seed=0) < small_load.target


def test_a_deadline_that_no_batch_keeps_needs_no_number_of_nodes(plans, small_load):
    slow = replace(plans[OURS], seconds=plans[OURS].seconds * 1000)
    assert nodes_needed(slow, small_load, 3, seed=0) is None


def test_a_total_is_split_in_proportion():
    assert in_proportion([300, 200, 100], 12) == [6, 4, 2]
    assert in_proportion([1, 1, 1], 4) == [2, 1, 1]
    assert sum(in_proportion([7, 11, 13], 1000)) == 1000


def test_the_picture_holds_each_policy_twice_and_is_xml(simulated):
    picture = draw(simulated())
    root = ElementTree.fromstring(picture)
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert all(texts.count(name) == 2 for name in (OURS, SMALLEST, EXPERTS))
    paths = [element.get("d") for element in root.iter("{http://www.w3.org/2000/svg}path")]
    assert len(paths) == 2 * 3 + 1
    assert all(path.count(",") == 6 for path in paths)
    assert draw(simulated()) == picture
