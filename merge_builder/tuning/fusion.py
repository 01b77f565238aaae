"""Layer-wise fusion: a merge method with its hyper-parameters for every bucket of a rung (LFS, arXiv 2502.04030).

A bucket is a group of neighbouring layers and one kind of parameters (attention, feed-forward, the rest). Embeddings go
with the first layers, what stands behind the last layer with the last. A bucket's method makes every merged version in
it from its own members; a group of one stays its expert. The space is conditional: only the chosen method's parameters
are searched.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from merge_builder.ladder import RungSize
from merge_builder.methods.contract import Array
from merge_builder.tuning.blend import linear, slerp
from merge_builder.tuning.candidate import Candidate, Formula, Genes, Site
from merge_builder.tuning.material import Material
from merge_builder.tuning.plain import PlainMethods

if TYPE_CHECKING:
    import optuna

# The least and the largest value, or the choices; `linear` and `slerp` have a weight in [0, 1] for each task.
SPACE: Mapping[str, Mapping[str, Any]] = {
    "blend": {"scale": (0.5, 1.6)},
    "tsv": {"scale": (0.5, 1.6)},
    "iso": {"scale": (0.5, 2.5)},
    "task_arithmetic": {"scale": (0.5, 2.5)},
    "ties": {"density": [0.1, 0.2, 0.4, 0.8], "scale": (0.5, 2.5)},
    "linear": {},
    "slerp": {},
}
BLENDS = {"linear": linear, "slerp": slerp}
_KINDS = {"attention": "attention", "feed_forward": "feed_forward"}
_ROUND = 4  # decimals of a number in the genes


@dataclass(frozen=True)
class Buckets:
    """Which bucket a tensor is in, by its canonical name; `used` are those in which the rung has merged versions."""

    of: Mapping[str, str]
    used: tuple[str, ...]


def bucket(material: Material, rung: RungSize, groups: int) -> Buckets:
    """Cut the layers into `groups` neighbourhoods of nearly equal size, and each into its kinds of parameters."""
    stages = sorted({stage for name, stage in material.stages.items() if _kind(material, name) in _KINDS.values()})
    place = {stage: number * groups // len(stages) for number, stage in enumerate(stages)}
    of = {}
    for name, block in material.blocks.items():
        stage = material.stages[name]
        depth = place.get(stage, 0 if not stages or stage < stages[0] else groups - 1)
        for tensor in block.names:
            of[tensor] = f"{depth}.{_kind(material, tensor)}"
    merged = [t for p in material.places(rung) for t in material.blocks[p.version.block].names]
    used = dict.fromkeys(of[tensor] for tensor in merged if tensor not in material.still)
    return Buckets(of, tuple(used))


def _kind(material: Material, name: str) -> str:
    """The kind of a tensor, or of a block by its first tensor."""
    tensor = material.blocks[name].names[0] if name in material.blocks else name
    found = material.layout.block_of(tensor, "sublayer")
    return _KINDS.get("" if found is None else found[1].rpartition(".")[2], "rest")


def fusion_candidate(genes: Genes, buckets: Buckets, tasks: Sequence[str], plain: PlainMethods) -> Candidate:
    """The candidate that `genes` describe: {"method": "lfs", "buckets": {bucket: {"name": method, ...}}}."""
    formulas = {name: _formula(own, tasks, plain) for name, own in genes["buckets"].items()}

    def vector(site: Site) -> Array:
        return formulas[buckets.of[site.tensor]](site)

    return Candidate(genes, vector)


def _formula(own: Mapping[str, Any], tasks: Sequence[str], plain: PlainMethods) -> Formula:
    if (blend := BLENDS.get(own["name"])) is not None:
        return blend([own["weights"][task] for task in tasks])
    return plain.formula(own["name"], {key: value for key, value in own.items() if key != "name"})


def suggest(trial: "optuna.Trial", bucket: str, methods: Sequence[str], tasks: Sequence[str]) -> dict[str, Any]:
    """One bucket's genes, read off a point of the space."""
    name = trial.suggest_categorical(f"{bucket}.method", methods)
    own: dict[str, Any] = {"name": name}
    if name in BLENDS:
        weights = {task: trial.suggest_float(f"{bucket}.{name}.{task}", 0.0, 1.0) for task in tasks}
        return own | {"weights": {task: round(value, _ROUND) for task, value in weights.items()}}
    for key, values in SPACE[name].items():
        label = f"{bucket}.{name}.{key}"
        if isinstance(values, list):
            own[key] = trial.suggest_categorical(label, values)
        else:
            own[key] = round(trial.suggest_float(label, *values), _ROUND)
    return own


def flat(buckets: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What `suggest` would have been given to make these genes."""
    flat: dict[str, Any] = {}
    for bucket, own in buckets.items():
        flat[f"{bucket}.method"] = own["name"]
        parameters = own["weights"] if own["name"] in BLENDS else {k: v for k, v in own.items() if k != "name"}
        flat |= {f"{bucket}.{own['name']}.{key}": value for key, value in parameters.items()}
    return flat
