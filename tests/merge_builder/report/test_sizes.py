from merge_builder.ladder import rung_at
from merge_builder.report.sizes import goals, size_rows
from merge_builder.report.subject import subjects_of


def test_rows_count_what_each_rung_stores(make_scored) -> None:
    ladder = make_scored("one", {22: (20, 24, 20), 9: (36, 30, 18)})
    manifest = ladder.manifest
    rows = size_rows(subjects_of([ladder])[0])
    assert [row.size for row in rows] == [manifest.rungs[22], manifest.rungs[9], manifest.rungs[0]]
    for row in rows:
        groups = {
            (block, version.id): version.tasks
            for block, versions in rung_at(manifest, row.size.index).versions.items()
            for version in versions.values()
        }
        assert row.versions == len(groups)
        assert row.shared_by_all == sum(len(tasks) == 3 for tasks in groups.values())
        assert row.saved == 1 - row.size.bytes / manifest.rungs[0].bytes
    assert (rows[0].shared_by_all, rows[-1].shared_by_all) == (len(manifest.blocks), 0)


def test_a_ladder_without_scores_shows_sizes_that_tell_the_curve(make_ladder) -> None:
    rows = size_rows(subjects_of([make_ladder()])[0])
    assert (rows[0].size.ratio, rows[-1].size.ratio) == (1, 3)
    assert all(row.scores is None for row in rows)


def test_goals_are_the_smallest_rungs_with_them_though_larger_ones_score_less(make_scored) -> None:
    # means: rung 22: .7667, rung 9: .9667, rung 3 (larger): .9333
    ladder = make_scored("one", {22: (20, 24, 20), 9: (36, 30, 20), 3: (36, 30, 18)})
    found = goals(subjects_of([ladder])[0])
    assert [(goal.score, goal.rung.size.index) for goal in found] == [(0.9, 9), (0.95, 9), (0.99, 0)]
    assert found[0].share == ladder.manifest.rungs[9].bytes / ladder.manifest.rungs[0].bytes
