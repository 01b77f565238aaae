"""The sha256 of an open file, taken from its beginning as far as somebody is about to read it.

So a file is read from the disk once for its hash and for what else is done with it: what was hashed a moment ago is
still in the page cache.
"""

import hashlib
import threading

from merge_builder.checkpoints.tensor_file import TensorFile

_STEP = 1 << 20  # bytes read at a time: they stay in the processor's own cache until they are hashed


class RunningHash:
    """How far `file` is hashed. Threads may advance it at once: who asks for less than is done waits for nothing."""

    def __init__(self, file: TensorFile) -> None:
        self.file = file
        self._sha256, self._done, self._lock = hashlib.sha256(), 0, threading.Lock()

    @property
    def busy(self) -> bool:
        """Whether a thread is hashing it just now."""
        return self._lock.locked()

    def advance(self, stop: int) -> int:
        """Hash what comes before offset `stop` and is not hashed yet; returns how many bytes that was.

        Raises:
            InputError: the file ended early.
        """
        if stop <= self._done:
            return 0
        with self._lock:
            begin = self._done
            buffer = memoryview(bytearray(min(_STEP, max(stop - begin, 0))))
            while self._done < stop:
                view = buffer[: stop - self._done]
                self.file.fill(view, self._done)
                self._sha256.update(view)
                self._done += len(view)
            return self._done - begin

    def finish(self) -> str:
        """Hash the rest; the file's sha256 in hex."""
        self.advance(self.file.nbytes)
        return self._sha256.hexdigest()
