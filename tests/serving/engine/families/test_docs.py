"""The family of docs/add_a_family.md passes the contract test as it stands there."""

import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from merge_builder.blocks import partition
from serving.engine.families import FAMILIES
from serving.engine.families import __name__ as FAMILIES_PACKAGE

from . import rows, test_contract
from .conftest import Build

DOCUMENT = Path(__file__).parents[4] / "docs/add_a_family.md"
NAME = "megatron-bert"


def test_the_documented_family_keeps_the_contract_in_under_60_lines(
    make_ladder: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout, adapter, row = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert len([line for code in (layout, adapter, row) for line in code.splitlines() if line]) < 60
    assert NAME not in FAMILIES
    monkeypatch.setattr(partition, "LAYOUTS", (*partition.LAYOUTS, _run(layout)["MEGATRON_BERT"]))
    monkeypatch.setitem(FAMILIES, NAME, "megatron_bert")
    documented = SimpleNamespace(**_run(adapter))  # in place of the file
    monkeypatch.setitem(sys.modules, f"{FAMILIES_PACKAGE}.megatron_bert", documented)
    monkeypatch.setattr(rows, "ROWS", rows.ROWS.copy())
    exec(row, vars(rows))
    monkeypatch.setattr(test_contract, "ROWS", rows.ROWS)

    test_contract.test_logits_are_those_of_transformers(make_ladder, NAME, tmp_path)
    test_contract.test_one_text_for_all_tasks_is_answered_as_for_each(make_ladder, NAME)
    test_contract.test_every_tensor_is_accounted_for_and_rung_0_gives_the_experts_back(make_ladder, NAME, tmp_path)


def _run(code: str) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(code, names)
    return names
