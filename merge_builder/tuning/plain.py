"""The ladder's own merge methods as formulas of a search: made once without their scale, which is then free."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from merge_builder.methods import Method, check_parameters, find_method
from merge_builder.methods.contract import Array
from merge_builder.statistics import Magnitudes, magnitudes
from merge_builder.tuning.arrays import save_whole
from merge_builder.tuning.candidate import Formula, Site
from merge_builder.tuning.material import Material

# Whether a method's `scale` multiplies the task vectors of matrices alone.
SCALED = {"task_arithmetic": False, "ties": False, "blend": True, "tsv": True, "iso": True}


@dataclass
class PlainMethods:
    """Methods of `SCALED` at any scale. What they make at scale 1 is kept in `folder`, a file a tensor and group."""

    folder: Path
    material: Material
    _names: dict[str, str] = field(default_factory=dict)

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
        made = apply(method, parameters, site, self._magnitudes if "magnitudes" in method.inputs else ())
        save_whole(path, made)
        return made

    @cached_property
    def _magnitudes(self) -> tuple[Magnitudes, ...]:
        blocks = self.material.blocks.values()
        base = [tensor for block in blocks for tensor in block.base]
        tasks = range(len(self.material.tasks))
        return tuple(magnitudes(base, [t for block in blocks for t in block.experts[task]]) for task in tasks)


def apply(method: Method, parameters: Mapping[str, Any], site: Site, measured: tuple[Magnitudes, ...]) -> Array:
    """What `method` makes of a site's task vectors; `measured` holds every task's magnitudes, if it asks for them."""
    vectors = site.vectors()
    inputs: dict[str, Any] = {"task_vectors": vectors}
    if "magnitudes" in method.inputs:
        inputs["magnitudes"] = [measured[task] for task in site.group]
    if method.prepare is not None:
        inputs["prepared"] = [method.prepare(vector) for vector in vectors]
    made: Array = method.function(*(inputs[name] for name in method.inputs), **parameters)
    return made
