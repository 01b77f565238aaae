import torch

from deploy.workspace import measure_workspace
from merge_builder.ladder import rung_at
from serving.engine.engine import load_engine


def test_a_larger_batch_needs_more(ladder):
    torch.set_num_threads(1)
    engine = load_engine(ladder, rung_at(ladder.manifest, len(ladder.manifest.rungs) - 1))
    small, large = measure_workspace(engine, 512), measure_workspace(engine, 65536)
    assert 0 <= small < large
    # Hidden states of 32 floats a token, and the feed-forward's 64: at least one of each is alive at the peak.
    assert large > 65536 * (32 + 64) * 4
