from rich.console import Console

from deploy.score_table import score_tables
from merge_builder.evaluation import RungSummary, TaskSummary
from merge_builder.ladder.additions import Score
from merge_builder.ladder.manifest import RungSize

TASKS = ("mood", "medmcqa_subject")


def rung(index: int) -> RungSummary:
    tasks = {}
    for number, task in enumerate(TASKS):
        accuracy = 0.9 - index / 100 - number / 10
        score = Score(
            rung=index,
            task=task,
            rows=8,
            data_sha256="0" * 64,
            accuracy=accuracy,
            interval=(0, 1),
            macro_f1=accuracy,
            macro_f1_interval=(0, 1),
            right="",
        )
        tasks[task] = TaskSummary(score, accuracy, (0.1, 0.2))
    return RungSummary(RungSize(index=index, ratio=index + 1.0, bytes=index), tasks, 0.5, (0.25, 0.75))


def shown(rungs: int, width: int) -> list[str]:
    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        for table in score_tables([rung(index) for index in range(rungs)], width):
            console.print(table)
    return capture.get().splitlines()


def test_a_row_a_task_and_a_column_a_rung() -> None:
    lines = shown(3, 100)
    assert lines[0].split()[-3:] == ["1.00x", "2.00x", "3.00x"]
    rows = {line[:19].strip(): line.split() for line in lines}
    assert rows["medmcqa_subject"][1:] == ["80.0", "79.0", "78.0"]
    assert rows["mean, % of experts'"][-3:] == ["50.0"] * 3
    assert rows["worst task"][-1] == "78.0"


def test_rungs_that_do_not_fit_follow_below_and_nothing_is_cut() -> None:
    lines = shown(20, 80)
    assert max(map(len, lines)) <= 80
    assert [word for line in lines for word in line.split() if word.endswith("x")] == [f"{n}.00x" for n in range(1, 21)]
    assert [word for line in lines if line.startswith("mood") for word in line.split()[1:]] == [
        f"{90 - index}.0" for index in range(20)
    ]


def test_without_rungs_there_is_no_table() -> None:
    assert score_tables([], 80) == []
