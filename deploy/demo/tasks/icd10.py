"""The ICD-10-CM chapter that a diagnosis belongs to (Centers for Medicare & Medicaid Services, public domain)."""

import re
import xml.etree.ElementTree as ElementTree
import zipfile
from pathlib import Path

from deploy.demo.packages import Package
from merge_builder.evaluation import Row

PACKAGE = Package(
    "simple-icd-10-cm", "1.5.0", "6d461d71dc26aedc530ae65f02cfb578a154e49507c32e8241e75f701d4b7e42", 1_076_390
)
FILE = "simple_icd_10_cm/data/icd10c-tabular-April-1-2026.xml"


def read(wheel: Path) -> list[Row]:
    """The descriptions of all codes in the wheel's tabular list, labelled with their chapter's title."""
    with zipfile.ZipFile(wheel) as archive, archive.open(FILE) as file:
        root = ElementTree.parse(file).getroot()
    return [
        Row(text=diagnosis.findtext("desc", ""), label=re.sub(r"\s*\([A-Z0-9-]+\)$", "", chapter.findtext("desc", "")))
        for chapter in root.iter("chapter")
        for diagnosis in chapter.iter("diag")
    ]
