"""A layout tells, for one family of checkpoints, to which block every tensor belongs."""

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Granularity = Literal["layer", "sublayer", "tensor"]


@dataclass(frozen=True)
class Rule:
    """Tensors whose canonical name matches `pattern` in full; block names may use its groups as `{0}`, `{1}`…"""

    pattern: str
    layer: str
    sublayer: str


@dataclass(frozen=True)
class Tied:
    """`alias` is a second name of the tensor `owner`, both canonical.

    `default` is whether that is so where config.json has no `tie_word_embeddings`; None: always, whatever it says.
    """

    alias: str
    owner: str
    default: bool | None = None

    def holds(self, config: Mapping[str, Any]) -> bool:
        """Whether a model of this `config` has one tensor under both names."""
        return self.default is None or bool(config.get("tie_word_embeddings", self.default))


@dataclass(frozen=True)
class Layout:
    """The naming scheme of one family. Patterns match canonical names in full.

    Attributes:
        model_types: `model_type` values of config.json that use this scheme.
        prefix: what task models put before the base model's tensors, such as `bert.`.
        rules: the blocks, in the order of the forward pass.
        head: tensors that are a task's own.
        outside: tensors that no prefix stands before.
        same: keys of config.json that must agree: equal shapes do not make models with other values alike.
        part: where what is merged may be a part of a larger model, or be a model alone: the table of the larger one's
            config.json that holds the part's keys. Then base and experts may be of any of `model_types`.
        optional: tensors that are merged where the base and every expert have them, and a task's own elsewhere.
        optional_in: the architectures, as config.json names them, that have the optional tensors.
        taken_over: of a base's own head, what its fine-tunes' heads begin with: adapters need not bring it.
        tied: second names of one tensor.
        renamed: module names of newer releases, as a pattern and its replacement: what adapters were trained on may
            be named so, while checkpoints keep the older names.
    """

    model_types: tuple[str, ...]
    prefix: str
    rules: tuple[Rule, ...]
    head: str
    outside: str
    same: tuple[str, ...]
    part: str = ""
    optional: str = ""
    optional_in: str = ""
    taken_over: str = ""
    tied: tuple[Tied, ...] = ()
    renamed: tuple[tuple[str, str], ...] = ()

    def canonical(self, name: str) -> str:
        """`name` without the family's prefix, as checkpoints write it."""
        name = name.removeprefix(self.prefix)
        for pattern, replacement in self.renamed:
            name = re.sub(pattern, replacement, name)
        return name

    def original(self, name: str, prefix: str) -> str:
        """The name that a checkpoint with `prefix` gives the canonical `name`."""
        return name if re.fullmatch(self.outside, name) else prefix + name

    def keys(self, config: Mapping[str, Any]) -> Mapping[str, Any]:
        """Those of a config.json that describe what is merged."""
        table = config.get(self.part)
        return table if isinstance(table, Mapping) else config

    def is_head(self, name: str) -> bool:
        """Whether the canonical `name` is a task's own wherever it occurs."""
        return re.fullmatch(self.head, name) is not None

    def is_optional(self, name: str) -> bool:
        """Whether the canonical `name` may be missing from the base or from an expert."""
        return re.fullmatch(self.optional, name) is not None

    def is_taken_over(self, name: str) -> bool:
        """Whether the canonical `name`, of a head, goes from the base over into its fine-tunes."""
        return re.fullmatch(self.taken_over, name) is not None

    def has_optional(self, architecture: str) -> bool:
        """Whether models of this `architecture` have the optional tensors."""
        return re.fullmatch(self.optional_in, architecture) is not None

    def block_of(self, name: str, granularity: Granularity) -> tuple[tuple[int, ...], str] | None:
        """The block of the canonical tensor `name`, behind its place in the forward pass; None if no rule matches."""
        for place, rule in enumerate(self.rules):
            match = re.fullmatch(rule.pattern, name)
            if match is None:
                continue
            # What stands where others have a number comes behind them: what a stage of layers ends with.
            numbers = tuple(int(group) if group.isdigit() else sys.maxsize for group in match.groups())
            order = (*_stage(self.rules, place), *numbers, place)
            templates: Mapping[str, str] = {"layer": rule.layer, "sublayer": rule.sublayer, "tensor": name}
            return order, templates[granularity].format(*match.groups())
        return None


def _stage(rules: tuple[Rule, ...], place: int) -> tuple[int]:
    # Rules that share a layer template interleave by layer number, so they count as one stage.
    return (next(i for i, rule in enumerate(rules) if rule.layer == rules[place].layer),)
