"""What the signals that stop a command do to it."""

import signal
import threading

import pytest

from deploy.stop_signal import SIGNALS, interrupted_by_stop_signal


@pytest.mark.parametrize("number", SIGNALS)
def test_a_stop_signal_interrupts_and_is_remembered_where_that_was_swallowed(number):
    before, stopped = [signal.getsignal(each) for each in SIGNALS], threading.Event()
    with interrupted_by_stop_signal(stopped):
        for _ in range(2):  # a second one, too
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(number)
    assert stopped.is_set()
    assert [signal.getsignal(each) for each in SIGNALS] == before
