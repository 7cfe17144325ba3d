"""What a log line may hold: JSON on stderr for everything, our own and the libraries', and no personal data."""

import logging
import re
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from saphan_infra.log_repeats import RepeatFilter
from saphan_schemas.catalogue import default_catalogue
from saphan_schemas.pii import PERSONAL_CLASSES

MASK = "[masked]"
_HIDDEN_CLASSES = PERSONAL_CLASSES | {"inherited"}
#: Fields of any log line that hold a whole message, whatever the schemas call it.
_WHOLE_MESSAGES = frozenset({"record", "row", "headers", "message_value", "parameters", "first_name", "last_name"})
_NUMBER_13 = r"\d{13}|\d-\d{4}-\d{5}-\d{2}-\d|\d \d{4} \d{5} \d{2} \d"
# Passports of the region: one or two letters and six to eight digits (Myanmar MA123456, Cambodia N01234567, …).
_PASSPORT = r"[A-Za-z]{1,2}\d{6,8}"
_PERSONAL = re.compile(rf"(?<![\w])(?:{_NUMBER_13}|{_PASSPORT})(?![\w])|(?<!\d)\d{{13}}(?!\d)")
_NUMBERS_13 = range(10**12, 10**13)
#: Numbers of 13 digits that are times.
_TIME_SUFFIX = "_ms"
_NOISY = {
    "kafka": "WARNING",
    "aiokafka": "WARNING",
    "faust": "WARNING",
    "mode": "WARNING",
    "alembic": "WARNING",
    "httpx": "WARNING",
}

#: These quote rows when they chat, and rows are people.
_QUOTING = ("sqlalchemy", "psycopg")


def configure(level: str = "INFO", fmt: Literal["json", "console"] = "json", stream: TextIO | None = None) -> None:
    """Send every log line, of structlog and of the standard library, through one form. May be called again.

    ``stream`` None: stderr. Libraries speak from WARNING on, and not for ever the same, unless ``level`` is DEBUG.
    """
    target = stream or sys.stderr
    handler = logging.StreamHandler(target)
    handler.setFormatter(_formatter(fmt, target))
    if level != "DEBUG":
        handler.addFilter(RepeatFilter(_NOISY))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name, quiet in _NOISY.items():
        library = logging.getLogger(name)
        library.handlers = []
        library.propagate = True
        library.setLevel("DEBUG" if level == "DEBUG" else quiet)
    for name in _QUOTING:
        logging.getLogger(name).setLevel("WARNING")
    logging.captureWarnings(capture=True)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_shared(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def quiet_clients() -> None:
    """Say nothing of what Kafka's clients log: for commands, which tell in a sentence what they could not reach.

    The clients log each try, and even what they cancel themselves when they close. Until the next configure.
    """
    for name in ("kafka", "aiokafka"):
        logging.getLogger(name).setLevel("CRITICAL")


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger; say what happened as a short sentence and the rest as keywords (topic, partition, offset, counts)."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger


def _shared() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
    ]


def _formatter(fmt: str, target: TextIO) -> logging.Formatter:
    renderer: Processor = structlog.processors.JSONRenderer(ensure_ascii=False, default=_text_of)
    if fmt == "console":
        renderer = structlog.dev.ConsoleRenderer(colors=target.isatty())
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_shared(),
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, mask_personal_data, renderer],
    )


def mask_personal_data(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """The structlog processor that hides people; last before the renderer, so that tracebacks pass it too."""
    return {key: _masked(key, value) for key, value in event.items()}


def mask_text(text: str) -> str:
    """The text with 13-digit numbers and passport-like tokens hidden."""
    return _PERSONAL.sub(MASK, text)


@cache
def personal_fields() -> frozenset[str]:
    """Field names whose values are hidden whatever they look like: those of the schemas' personal PII classes."""
    found = set(_WHOLE_MESSAGES)
    catalogue = default_catalogue()
    for versions in catalogue.by_topic.values():
        for version in versions:
            found.update(_personal_names(version.parsed()))
    return frozenset(found)


def _personal_names(schema: Any) -> Iterator[str]:
    """Names of fields of a personal class, in nested records too."""
    if isinstance(schema, list):
        for part in schema:
            yield from _personal_names(part)
    if isinstance(schema, Mapping):
        for row in schema.get("fields", ()):
            if row.get("pii") in _HIDDEN_CLASSES:
                yield row["name"]
            yield from _personal_names(row["type"])
        for part in ("items", "values"):
            yield from _personal_names(schema.get(part, ()))


def _masked(key: str, value: Any) -> Any:
    if key in personal_fields() and value is not None:
        return MASK
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return MASK if abs(value) in _NUMBERS_13 and not key.endswith(_TIME_SUFFIX) else value
    if isinstance(value, Mapping):
        return {mask_text(str(name)): _masked(str(name), part) for name, part in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_masked("", part) for part in value]
    return mask_text(value if isinstance(value, str) else _text_of(value))


def _text_of(value: Any) -> str:
    """Any other object as text; bytes are messages or parts of them and stay hidden."""
    return f"[{len(value)} bytes]" if isinstance(value, bytes | bytearray | memoryview) else mask_text(repr(value))
