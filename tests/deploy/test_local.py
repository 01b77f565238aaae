"""What a user is told where Ray itself does not start."""

import pytest

from deploy.local import running_server
from deploy.sizing import Sizing
from merge_builder.errors import MergeLadderError


def test_it_says_that_ray_did_not_start_and_why(ladder, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path / "file" / "folder"))
    running = running_server(ladder.root, Sizing(rung="1"), host="127.0.0.1", port=0)
    with pytest.raises(MergeLadderError, match=r"Ray did not start: .*folder.*busy"), running:
        pass
