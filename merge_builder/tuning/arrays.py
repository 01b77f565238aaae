"""Arrays on disk that several processes may be making at once."""

from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import numpy as np
from numpy.typing import NDArray


def save_whole(path: Path, values: NDArray[Any]) -> None:
    """Write `path` so that it is there whole or not at all; of several who write it, the last stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=path.parent, suffix=".partial", delete=False) as file:
        np.save(file, values)
    Path(file.name).replace(path)
