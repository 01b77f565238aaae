import io

from rich.console import Console

from deploy.demo.load import Load
from deploy.demo.tell import answer_lines, load_line, size_accuracy_table
from merge_builder.evaluation import RungSummary, TaskSummary
from merge_builder.ladder import RungSize
from merge_builder.ladder.additions import Score


def summary(index: int, ratio: float, accuracy: float, normalised: float) -> RungSummary:
    size = RungSize(index=index, ratio=ratio, bytes=int(ratio * 2**20))
    interval = (0.0, 1.0)
    score = Score(
        rung=index,
        task="mood",
        rows=10,
        data_sha256="0" * 64,
        accuracy=accuracy,
        interval=interval,
        macro_f1=accuracy,
        macro_f1_interval=interval,
        right="",
    )
    return RungSummary(size, {"mood": TaskSummary(score, normalised, interval)}, normalised, interval)


def test_the_table_has_a_row_a_rung():
    console = Console(file=io.StringIO(), width=100)
    console.print(size_accuracy_table([summary(9, 1.0, 0.456, 0.5), summary(0, 4.0, 0.912, 1.0)]))
    heading, smallest, largest, *_ = console.file.getvalue().splitlines()
    assert heading.split()[:3] == ["size", "memory", "mood"]
    assert smallest.split() == ["1.00x", "1.0", "MiB", "45.6", "50.0"]
    assert largest.split() == ["4.00x", "4.0", "MiB", "91.2", "100.0"]


def test_an_answer_is_its_best_label_and_markup_in_a_text_is_shown_as_it_is():
    predictions = [[{"label": "good", "score": 0.9}, {"label": "bad", "score": 0.1}]]
    text, answer = answer_lines("[red]fine[/] " * 9, {"mood": {"predictions": predictions}})
    console = Console(file=io.StringIO(), width=100)
    console.print(text)
    assert "[red]fine[/]" in console.file.getvalue()
    assert "..." in text
    assert answer.split()[0] == "mood"
    assert "good" in answer
    assert "(0.90)" in answer


def test_the_speed_in_one_sentence():
    line = load_line(Load((0.1, 0.1, 0.3, 0.1), seconds=2.0, failed=1), clients=4)
    assert "4 requests from 4 clients in 2.0 s: 2 requests/s" in line
    assert "within 100 ms" in line
    assert "1 failed" in line
