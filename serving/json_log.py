"""Log records as JSON, one object a line, for whatever collects a server's logs."""

import json
import logging
from datetime import UTC, datetime

_to_json = json.JSONEncoder(ensure_ascii=False).encode  # `json.dumps` would make an encoder each time


def log_as_json(handler: logging.Handler) -> None:
    """Write all that the server logs (the loggers under `mergeladder`) through `handler`, from the level INFO on.

    A line has time, level, logger, message, the record's `fields` where it has some, and `exception`, the traceback.
    """
    handler.setFormatter(_JsonFormatter())
    logger = logging.getLogger("mergeladder")
    logger.handlers, logger.propagate = [handler], False
    logger.setLevel(logging.INFO)


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        told = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            told["exception"] = self.formatException(record.exc_info)
        return _to_json(told)
