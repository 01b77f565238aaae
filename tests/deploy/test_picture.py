import pytest
from rich.console import Console

from deploy.picture import spread, task_table
from merge_builder.ladder import RungSize


def rungs(count: int) -> list[RungSize]:
    return [RungSize(index=i, ratio=1 + count - i, bytes=100 - i) for i in range(count)]


@pytest.mark.parametrize("count", [1, 2, 5, 9, 10, 100])
def test_both_ends_and_the_chosen_one_are_always_among_at_most_nine(count):
    table = rungs(count)
    for chosen in [None, *table]:
        picked = spread(table, 9, chosen)
        assert len(picked) == min(count, 9)
        assert picked == sorted(picked, key=lambda rung: rung.index)
        assert {picked[0].index, picked[-1].index} == {0, count - 1}
        assert chosen is None or chosen in picked


def test_labels_are_shown_as_they_are(ladder):
    task = ladder.manifest.tasks[0].model_copy(update={"labels": ("[bold]", "[/INST]", "a[0]")})
    console = Console(width=100)
    with console.capture() as shown:
        console.print(task_table(ladder.manifest.model_copy(update={"tasks": (task,)})))
    assert "[bold], [/INST], a[0]" in shown.get()
