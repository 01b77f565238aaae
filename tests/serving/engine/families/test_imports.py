"""A process brings in the adapter of its ladder's architecture, and no other's transformers model."""

import subprocess
import sys

import pytest

from merge_builder.errors import InputError
from serving.engine.families import FAMILIES, family_of

LOADED = """
import sys
import serving.engine.engine
from serving.engine.families import family_of
family_of("vit")
print(*(name.split(".")[2] for name in sys.modules if name.startswith("transformers.models.") and ".modeling_" in name))
"""


def test_only_the_model_that_is_asked_for_is_imported():
    ran = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True, timeout=120)
    assert set(ran.stdout.split()) - {"auto"} == {"vit"}


def test_what_is_not_supported_is_told_with_what_is():
    with pytest.raises(InputError, match="'gpt2'") as refused:
        family_of("gpt2")
    assert all(name in str(refused.value) for name in FAMILIES)
