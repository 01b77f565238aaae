"""An expert's own image processor: read from its folder, kept in a ladder's manifest, written again into an export."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from merge_builder.checkpoints.files import read_json, write_atomic
from merge_builder.ladder.manifest import ProcessorFile

# transformers takes what is nested in the second, and else the first.
FILES: tuple[ProcessorFile, ...] = ("preprocessor_config.json", "processor_config.json")


def read_processor(path: Path) -> dict[ProcessorFile, dict[str, Any]]:
    """The files of the folder `path` that tell how images are prepared, by name; none where it tells nothing of images.

    Raises:
        InputError: one is damaged.
    """
    found = {name: read_json(path / name) for name in FILES if (path / name).is_file()}
    told = "preprocessor_config.json" in found or "image_processor" in found.get("processor_config.json", {})
    return found if told else {}


def write_processor(folder: Path, files: Mapping[ProcessorFile, Mapping[str, Any]]) -> None:
    """Write what `read_processor` read into `folder`."""
    for name, content in files.items():
        write_atomic(folder / name, (json.dumps(content, indent=2) + "\n").encode())
