"""One HTTP connection, with a client that has to be prompt: uvicorn bounds neither what it sends nor what it reads.

Without bounds, clients that dribble a head, or ask for much and read nothing, would hold their connections, and what is
kept for them, for ever. The body has the request's deadline and limits of its own.
"""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_SECONDS = 10.0  # for a request's head
HEAD_BYTES = 64 * 1024
# For a client to take any of an answer that fills the system's buffers and ours: slow ones do, those that hang do not.
STALL_SECONDS = 60.0


class PromptConnection(HttpToolsProtocol):
    """A connection that is cut where a head is not there in HEAD_SECONDS, or has more than HEAD_BYTES, and where an
    answer stands still for STALL_SECONDS because its client reads none of it.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Also starts the clock: a new connection has to ask something."""
        super().connection_made(transport)
        self._stall_clock: asyncio.TimerHandle | None = None
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        """Also counts a head's bytes."""
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > HEAD_BYTES:
            self.transport.abort()

    def on_message_begin(self) -> None:
        """Also starts the clock: another request on a connection that was kept."""
        super().on_message_begin()
        self._head_clock.cancel()
        self._expect_head()

    def on_headers_complete(self) -> None:
        """Also stops the clock."""
        self._in_head = False
        self._head_clock.cancel()
        super().on_headers_complete()

    def pause_writing(self) -> None:
        """Also starts the other clock: the client has more to read than buffers hold."""
        super().pause_writing()
        self._expect_reading()

    def resume_writing(self) -> None:
        """Also stops that clock: the client has read."""
        self._stop_stall_clock()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Also stops the clocks."""
        self._head_clock.cancel()
        self._stop_stall_clock()
        super().connection_lost(exc)

    def _expect_head(self) -> None:
        self._in_head, self._head_bytes = True, 0
        self._head_clock = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def _expect_reading(self) -> None:
        left = self.transport.get_write_buffer_size()
        self._stall_clock = self.loop.call_later(STALL_SECONDS, self._look_at_reading, left)

    def _look_at_reading(self, before: int) -> None:
        if self.transport.get_write_buffer_size() < before:  # slow, but reading
            self._expect_reading()
        else:
            self.transport.abort()

    def _stop_stall_clock(self) -> None:
        if self._stall_clock is not None:
            self._stall_clock.cancel()
