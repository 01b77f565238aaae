"""The ladder's own merge methods as formulas of a search: made once without their scale, which is then free."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from merge_builder.checkpoints import StoredTensor
from merge_builder.lengths import matrix_lengths, task_length
from merge_builder.methods import Method, check_parameters, find_method
from merge_builder.methods.contract import Array
from merge_builder.statistics import magnitudes
from merge_builder.tuning.arrays import save_whole
from merge_builder.tuning.candidate import Formula, Site
from merge_builder.tuning.material import Material

# Whether a method's `scale` multiplies the task vectors of matrices alone.
SCALED = {"task_arithmetic": False, "ties": False, "blend": True, "tsv": True, "iso": True}
# What methods ask for of a whole task vector, by the input's name: of the base's and the expert's tensors.
WHOLE_VECTOR: Mapping[str, Callable[[Sequence[StoredTensor], Sequence[StoredTensor]], Any]] = {
    "magnitudes": magnitudes,
    "lengths": lambda base, expert: task_length(matrix_lengths(base, expert)),
}


@dataclass
class PlainMethods:
    """Methods of `SCALED` at any scale. What they make at scale 1 is kept in `folder`, a file a tensor and group."""

    folder: Path
    material: Material
    _kept: dict[str, Sequence[Any]] = field(default_factory=dict)

    def formula(self, name: str, parameters: Mapping[str, Any]) -> Formula:
        """The registered method `name` with a number for its scale; bit for bit, `blend` at 1 alone."""
        method = find_method(name)
        checked = check_parameters(method, dict(parameters))
        scale = np.float32(checked["scale"])

        def vector(site: Site) -> Array:
            made = self._unscaled(method, checked | {"scale": 1.0}, site)
            return made if SCALED[name] and len(site.shape) != 2 else made * scale

        return vector

    def _unscaled(self, method: Method, parameters: dict[str, Any], site: Site) -> Array:
        text = json.dumps([method.name, parameters, site.tensor, site.group], sort_keys=True)
        path = self.folder / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.npy"
        if path.exists():
            kept: Array = np.load(path)
            return kept
        measured = {name: self._measured(name) for name in WHOLE_VECTOR if name in method.inputs}
        made = apply(method, parameters, site, measured)
        save_whole(path, made)
        return made

    def _measured(self, name: str) -> Sequence[Any]:
        if name not in self._kept:
            blocks = self.material.blocks.values()
            base = [tensor for block in blocks for tensor in block.base]
            experts = ([t for block in blocks for t in block.experts[k]] for k in range(len(self.material.tasks)))
            self._kept[name] = [WHOLE_VECTOR[name](base, expert) for expert in experts]
        return self._kept[name]


def apply(method: Method, parameters: Mapping[str, Any], site: Site, measured: Mapping[str, Sequence[Any]]) -> Array:
    """What `method` makes of a site's task vectors, and of what was `measured` for every task, by the input's name."""
    vectors = site.vectors()
    inputs: dict[str, Any] = {"task_vectors": vectors}
    inputs |= {name: [values[task] for task in site.group] for name, values in measured.items()}
    if method.prepare is not None:
        inputs["prepared"] = [method.prepare(vector) for vector in vectors]
    made: Array = method.function(*(inputs[name] for name in method.inputs), **parameters)
    return made
