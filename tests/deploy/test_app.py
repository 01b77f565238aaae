"""What a Serve configuration may ask for."""

import pytest

from deploy.app import build
from deploy.app_args import AppArgs
from merge_builder.errors import InputError


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_other_machines_may_ask_only_with_keys_or_a_word(tmp_path, host):
    with pytest.raises(InputError, match=r"keys.*insecure"):
        build(AppArgs(ladder=tmp_path, host=host))
    for guarded in ({"keys": tmp_path / "keys"}, {"insecure": True}):
        assert build(AppArgs(ladder=tmp_path, host=host, **guarded))
    assert build(AppArgs(ladder=tmp_path))
