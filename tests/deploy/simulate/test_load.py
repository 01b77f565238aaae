import numpy as np
import pytest
from pydantic import ValidationError

from deploy.simulate.load import Load


def test_a_day_has_the_stated_mean_and_zipf_shares():
    load = Load(requests_per_second=1000, zipf=1.0, amplitude=0.8, peak_spread_hours=9)
    rates = np.array([load.rates(hour, 4) for hour in load.hours])
    assert rates.sum(axis=1).mean() == pytest.approx(1000)
    assert rates.mean(axis=0) == pytest.approx(1000 * np.array([12, 6, 4, 3]) / 25)
    assert rates.min() > 0


def test_every_task_peaks_at_its_own_hour():
    load = Load(requests_per_second=1000, amplitude=0.5, peak_hour=15, peak_spread_hours=6, zipf=0)
    rates = np.array([load.rates(hour, 3) for hour in load.hours])
    assert load.hours[rates.argmax(axis=0)] == pytest.approx([13, 15, 17], abs=0.2)
    assert rates.max() == pytest.approx(1.5 * 1000 / 3, rel=1e-3)
    assert rates.min() == pytest.approx(0.5 * 1000 / 3, rel=1e-3)


def test_a_batch_holds_one_request_at_least():
    assert Load(requests_per_second=1, tokens_per_request=64, max_batch_tokens=4096).batch == 64
    assert Load(requests_per_second=1, tokens_per_request=5000, max_batch_tokens=4096).batch == 1


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"windows": 1000, "window_seconds": 100}, "more than a day"),
        ({"deadline_seconds": 0.1}, "too coarse"),
        ({"window_seconds": 0.01}, "shorter than step_seconds"),
        ({"routing": "round_robin"}, "routing"),
    ],
)
def test_what_does_not_fit_together_is_refused(keys, told):
    with pytest.raises(ValidationError, match=told):
        Load.model_validate({"requests_per_second": 1, **keys})
