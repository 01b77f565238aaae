from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from merge_builder.card import export_card
from merge_builder.export import export
from merge_builder.ladder import Ladder
from merge_builder.ladder.additions import Score


def test_an_export_tells_its_task_its_rung_and_the_command(suite: Path, make_ladder) -> None:
    ladder: Ladder = make_ladder()
    export(ladder, "b", ladder.manifest.rungs[-1], suite / "out")
    text = (suite / "out" / "README.md").read_text()
    last = len(ladder.manifest.rungs) - 1
    assert f"`mergeladder export ladder --task b --rung '#{last}' out`" in text
    assert f"rung #{last} of a ladder of 3 tasks serves `b`" in text
    blocks = len(ladder.manifest.blocks)
    assert f"{blocks} of its {blocks} blocks are merged" in text
    assert "from transformers import BertForSequenceClassification" in text
    assert str(suite) not in text
    card = ModelCard.load(suite / "out" / "README.md")
    assert (card.data.library_name, card.data.base_model) == ("transformers", ["base", "a", "b", "c"])


def test_the_experts_own_model_names_no_other(suite: Path, make_ladder) -> None:
    ladder: Ladder = make_ladder()
    export(ladder, "b", ladder.manifest.rungs[0], suite / "out")
    card = ModelCard.load(suite / "out" / "README.md")
    assert card.data.base_model == ["base", "b"]
    assert "Every block is the expert's own" in card.text


@pytest.mark.parametrize(("index", "told"), [(0, "75.0 %"), (3, "50.0 %"), (1, None)])
def test_the_score_of_that_very_rung_is_told(make_ladder, index: int, told: str | None) -> None:
    ladder: Ladder = make_ladder()
    rows = {"rows": 4, "data_sha256": "0" * 64, "macro_f1": 0.5, "macro_f1_interval": (0, 1), "right": "AA=="}
    scores = tuple(
        Score(rung=rung, task="a", accuracy=accuracy, interval=(0.0, 1.0), **rows)
        for rung, accuracy in ((0, 0.75), (3, 0.5))
    )
    manifest = ladder.manifest.model_copy(update={"scores": scores})
    text = export_card(manifest, "a", manifest.rungs[index], "made by hand")
    assert ("Accuracy on 4 rows" in text) == (told is not None)
    if told:
        assert told in text
    assert ("the expert itself: 75.0 %" in text) == (index == 3)
