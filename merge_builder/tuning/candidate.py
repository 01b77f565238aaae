"""A candidate: one way to make every merged version of a rung, and the plain data that it is known by."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from merge_builder.linkage import Group
from merge_builder.materialise import BlockInput
from merge_builder.methods.contract import Array
from merge_builder.tuning.depth.stack import Stack

# What describes a candidate, as JSON would hold it: a journal and a manifest keep it.
Genes = Mapping[str, Any]


@dataclass(frozen=True)
class Site:
    """One tensor of one merged group: number `index` of its block's."""

    block: BlockInput
    index: int
    group: Group

    @property
    def tensor(self) -> str:
        """The tensor's canonical name."""
        return self.block.names[self.index]

    @property
    def shape(self) -> tuple[int, ...]:
        """The tensor's shape."""
        return self.block.base[self.index].shape

    def vectors(self) -> Array:
        """The members' task vectors, fp32 [n, *shape], in the group's order; read anew at every call."""
        base = self.block.base[self.index].read().astype(np.float32, copy=False)
        vectors = np.empty((len(self.group), base.size), np.float32)
        for row, task in zip(vectors, self.group, strict=True):
            own = self.block.experts[task][self.index].read()
            np.subtract(own.astype(np.float32, copy=False), base, out=row)
        return vectors.reshape(len(self.group), *self.shape)


# The group's task vector at a site, fp32 in the tensor's shape.
Formula = Callable[[Site], Array]


@dataclass(frozen=True)
class Candidate:
    """`formula` makes the weights; None stands for the versions that are stored, or for those of a `stack` of layers.

    `fixed` holds the formulas of versions, by block and group, that an earlier search has settled; `settled`, their
    genes.
    """

    genes: Genes
    formula: Formula | None
    fixed: Mapping[tuple[str, Group], Formula] = field(default_factory=dict)
    stack: Stack | None = None
    settled: Mapping[tuple[str, Group], Genes] = field(default_factory=dict)

    @property
    def changes(self) -> bool:
        """Whether anything is other than in the untuned ladder."""
        return self.formula is not None or self.stack is not None or bool(self.fixed)

    @property
    def key(self) -> str:
        """The genes as text; equal candidates have equal keys."""
        return key_of(self.genes)

    def at(self, block: str, group: Group) -> Formula | None:
        """What makes one version; None: it stays as it is stored."""
        return self.fixed.get((block, group), self.formula)


def key_of(genes: Genes) -> str:
    """Genes as text, whatever order their keys are in."""
    return json.dumps(genes, sort_keys=True)


# The ladder as it was built.
UNTUNED = Candidate({"untuned": True}, None)


def beside(candidate: Candidate, fixed: Mapping[tuple[str, Group], Candidate]) -> Candidate:
    """The candidate where versions are `fixed` already, each by the candidate that made it."""
    if not fixed:
        return candidate
    formulas = {at: own.at(*at) for at, own in fixed.items()}
    digest = hashlib.sha256("".join(sorted({own.key for own in fixed.values()})).encode()).hexdigest()[:16]
    made = {at: formula for at, formula in formulas.items() if formula is not None}
    genes = {at: own.genes for at, own in fixed.items()}
    return Candidate({**candidate.genes, "beside": digest}, candidate.formula, made, settled=genes)
