"""What both kinds of model card tell: the front matter that the Hugging Face hub reads, the method, the sources."""

import re
from collections.abc import Iterable, Sequence

import yaml

from merge_builder.ladder.manifest import Manifest
from merge_builder.methods import find_method


def front_matter(manifest: Manifest, library: str, experts: Iterable[str]) -> str:
    """The YAML block of a card: https://huggingface.co/docs/hub/model-cards."""
    provenance = manifest.provenance
    models = [provenance.base.model, *(provenance.experts[task].model for task in experts)]
    fields = {
        "base_model": list(dict.fromkeys(map(hub_name, models))),
        "base_model_relation": "merge",
        "library_name": library,
        "tags": ["merge", "mergeladder", manifest.method.name],
    }
    return f"---\n{yaml.safe_dump(fields, sort_keys=False, allow_unicode=True)}---\n"


def method_section(manifest: Manifest) -> str:
    """The merge method with its formula, paper and parameters, and how the merges were ordered."""
    if manifest.tuned and not manifest.trace:  # a stack of layers: nothing is merged along a trace
        found = "[depth-wise integration](https://arxiv.org/abs/2502.04030)"
        return (
            f"## Method\n\n{found}: layers chosen from several experts with labelled rows, one encoder for all tasks.\n"
        )
    method = find_method(manifest.method.name)
    given = ", ".join(f"{key} = {value}" for key, value in manifest.method.parameters.items() if value is not None)
    return (
        f"## Method\n\n[{method.title}]({method.paper}): `{method.formula}`"
        f"{f', with {given}' if given else ''}. τ is an expert minus the base.\n"
        f"Blocks: `{manifest.granularity}`, merged in the order of `linkage: {manifest.linkage}` "
        "([FlexMerge](https://arxiv.org/abs/2505.23209)). Groups of one are the expert's own weights, bit for bit.\n"
    )


def sources_section(manifest: Manifest, experts: Iterable[str]) -> str:
    """The base and the experts as the recipe names them, with the hashes of their weights."""
    provenance = manifest.provenance
    named = {"*base*": provenance.base} | {f"`{task}`": provenance.experts[task] for task in experts}
    rows = [
        (role, f"`{hub_name(source.model)}`", f"`{name}`", f"`{digest}`")
        for role, source in named.items()
        for name, digest in source.files.items()
        if name.endswith(".safetensors")
    ]
    return "## Made from\n\n" + table(("model", "named", "file", "sha256"), rows)


def hub_name(model: str) -> str:
    """A hub id as it is; of a folder anywhere else its name alone: a card is for others."""
    return model if re.fullmatch(r"[\w-][\w.-]*(/[\w.-]+)?", model) else model.rstrip("/").rsplit("/", 1)[-1]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; the first column is text, the others are as their cells are."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"
