import hashlib
from pathlib import Path

import yaml
from huggingface_hub import ModelCard

from merge_builder.card import ladder_card, refresh_card
from merge_builder.evaluation import write_scores
from merge_builder.ladder import Ladder, open_ladder
from merge_builder.ladder.additions import Score
from merge_builder.recipe import parse_recipe
from merge_builder.verify import verify

ROWS = {"rows": 4, "data_sha256": "0" * 64, "macro_f1": 0.5, "macro_f1_interval": (0.0, 1.0), "right": "AA=="}


def score(rung: int, task: str, accuracy: float) -> Score:
    return Score(rung=rung, task=task, accuracy=accuracy, interval=(accuracy - 0.1, accuracy + 0.1), **ROWS)


def test_the_card_tells_what_the_ladder_is_made_of(suite: Path, make_ladder) -> None:
    ladder: Ladder = make_ladder(method={"name": "task_arithmetic", "scale": 0.5})
    text = (ladder.root / "README.md").read_text()
    for model in ("base", "a", "b", "c"):
        assert hashlib.sha256((suite / model / "model.safetensors").read_bytes()).hexdigest() in text
    for told in ("arxiv.org/abs/2212.04089", "scale · mean(τ)", "scale = 0.5", "| 3.00x | #0 |", "| 1.00x |"):
        assert told in text
    assert str(suite) not in text


def test_the_hub_reads_its_front_matter(make_ladder) -> None:
    card = ModelCard.load(make_ladder().root / "README.md")
    assert card.data.base_model == ["base", "a", "b", "c"]
    assert card.data.library_name == "mergeladder"
    assert set(card.data.tags) >= {"merge", "average"}
    assert card.data.to_dict()["base_model_relation"] == "merge"


def test_the_recipe_in_the_card_is_one_and_names_no_folder_of_this_machine(make_ladder) -> None:
    ladder: Ladder = make_ladder()
    recipe = ladder.manifest.provenance.recipe | {"base": "/home/me/models/base"}
    provenance = ladder.manifest.provenance.model_copy(update={"recipe": recipe})
    text = ladder_card(ladder.manifest.model_copy(update={"provenance": provenance}))
    assert "/home/me" not in text
    document = yaml.safe_load(text.split("```yaml\n")[1].split("```")[0])
    assert parse_recipe(document).tasks.keys() == {"a", "b", "c"}


def test_scores_appear_in_the_card_and_verify_knows_it(make_ladder) -> None:
    ladder: Ladder = make_ladder()
    assert "Not evaluated yet" in (ladder.root / "README.md").read_text()
    write_scores(ladder, [score(rung, task, value) for rung in (0, 3) for task, value in (("a", 0.75), ("c", 0.5))])
    text = (ladder.root / "README.md").read_text()
    assert "| size | rung | memory | mean | `a` | `c` |" in text
    row = next(line for line in text.splitlines() if "| #3 |" in line)
    assert row.endswith("| 62.5 | 75.0 (65.0–85.0) | 50.0 (40.0–60.0) |")
    assert text == ladder_card(open_ladder(ladder.root).manifest)
    assert verify(ladder) == []


def test_a_card_that_was_edited_is_left_alone(make_ladder) -> None:
    ladder: Ladder = make_ladder()
    path = ladder.root / "README.md"
    path.write_text("mine")
    scored = write_scores(ladder, [score(0, "a", 0.5)])
    assert path.read_text() == "mine"
    path.unlink()
    refresh_card(ladder.root, ladder.manifest, scored.manifest)
    assert not path.exists()
    assert verify(scored) == []
