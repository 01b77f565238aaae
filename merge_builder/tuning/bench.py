"""What a search needs of whatever runs models: this package runs none itself. The engine is one (`deploy/bench.py`)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from merge_builder.evaluation import Row, Runner
from merge_builder.ladder import RungSize, Version

# A block's tensors by canonical name, each in its own shape and in the dtype that a ladder would store.
Tensors = Mapping[str, NDArray[Any]]
# At this rung, compute with these versions in place of those that are stored, and with all others as they are stored;
# holds until another call. Only what is given is touched: no model is built anew.
Put = Callable[[RungSize, Mapping[Version, Tensors]], None]
# A task, encoder weights fp32 by canonical name (those left out are the expert's own) and unlabelled rows
# -> for each of the weights given the mean over the rows of sum_c p(c|x) (d log p(c|x) / d w)^2, fp32.
Curvature = Callable[[str, Mapping[str, NDArray[np.float32]], Sequence[Row]], Mapping[str, NDArray[np.float32]]]


@dataclass(frozen=True)
class Bench:
    """A model whose blocks can be exchanged in place. `run` answers with what `put` has put there."""

    run: Runner
    put: Put
    curvature: Curvature
