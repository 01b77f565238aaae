"""From what a recipe names, a folder or a hub id, to a folder on this machine."""

import os
import re
from pathlib import Path

from merge_builder.errors import InputError

_PATTERNS = ["*.json", "*.safetensors", "*.txt", "*.model", "*.jinja"]


def resolve(model: str, relative_to: Path) -> Path:
    """The local folder of `model`: a path (relative to the recipe's folder, or to the current one) or a hub id.

    Raises:
        InputError: no such folder, and the hub does not give it.
    """
    for candidate in (relative_to / Path(model).expanduser(), Path(model).expanduser()):
        if candidate.is_dir():
            return candidate.resolve()
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", model) or model.startswith("."):
        raise InputError(f"no checkpoint folder at {model!r} (looked beside the recipe, in {relative_to}, and here)")
    return _download(model, relative_to)


def _download(model: str, relative_to: Path) -> Path:
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    from huggingface_hub import snapshot_download  # a second of imports that local builds do not need
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    try:
        return Path(snapshot_download(model, allow_patterns=_PATTERNS))
    except (HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled, OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(
            f"{model!r} is neither a folder (looked beside the recipe, in {relative_to}, and here) nor to be had from "
            f"the hub: {reason}. Without a network, name a folder: where there is one, `hf download {model} "
            "--local-dir FOLDER` fills it"
        ) from error
