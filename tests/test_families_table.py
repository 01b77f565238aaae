"""The README's table of families: it says what the code supports, and every cell of it is tested."""

import re
from pathlib import Path

from merge_builder.blocks.partition import LAYOUTS
from serving.engine.families import FAMILIES, family_of

from .merge_builder.test_families import CASES as BUILT
from .serving.engine.families.image_rows import ROWS as IMAGES
from .serving.engine.families.rows import ROWS as TEXTS

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
HEADER = "| family (`model_type`) | input | merge | serve | fan-out | export |\n|---|---|---|---|---|---|\n"
# Each of these runs over all of its cases: merge and export; serve and fan-out besides.
SERVED = {row.config.model_type for row in (*TEXTS.values(), *IMAGES.values())}
EXPORTED = {case.config.model_type for case in BUILT.values()} | SERVED


def _table() -> str:
    merged = [model_type for layout in LAYOUTS for model_type in layout.model_types]
    inputs = {name: family_of(name).modality for name in FAMILIES}
    served = sorted(FAMILIES, key=lambda name: (inputs[name] != "text", name))
    lines = [f"| `{name}` | {inputs[name]} | yes | yes | yes | yes |" for name in served]
    lines += [f"| `{name}` | text | yes | not yet | not yet | yes |" for name in sorted(set(merged) - set(FAMILIES))]
    return HEADER + "\n".join(lines) + "\n"


def test_the_table_says_what_there_is() -> None:
    assert set(FAMILIES) <= {model_type for layout in LAYOUTS for model_type in layout.model_types}
    assert _table() in README.read_text(encoding="utf-8"), f"renew the README's table of families:\n{_table()}"


def test_the_page_of_checkpoints_tells_the_blocks_of_every_family() -> None:
    page = (ROOT / "docs/checkpoints.md").read_text(encoding="utf-8")
    told = [names.split(", ") for names in re.findall(r"^\| ([\w, -]+) \| [^|]+ \|$", page, flags=re.MULTILINE)]
    known = [model_type for layout in LAYOUTS for model_type in layout.model_types]
    assert sorted(name for names in told for name in names if name != "---") == sorted(known)


def test_every_cell_of_the_table_is_tested() -> None:
    for name, cells in re.findall(r"^\| `([\w-]+)` \| \w+ \| (.*) \|$", _table(), flags=re.MULTILINE):
        merge, serve, fan_out, export = cells.split(" | ")
        assert merge == export == "yes"
        assert serve == fan_out
        assert name in (SERVED if serve == "yes" else EXPORTED)
