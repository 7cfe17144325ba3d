"""Which files of a directory are feeds, and in which order they are published."""

import difflib
from collections.abc import Sequence
from pathlib import Path

from saphan_schemas.topics import FEEDS, RECORD_FEEDS

#: Feeds first; what says that they are complete comes last.
DEFAULT_ORDER = FEEDS
_SUFFIXES = (".jsonl", ".jsonl.gz")


class NothingToPublish(ValueError):
    """A directory or an order that names no feed. The text says what was expected."""


def feed_files(directory: Path, order: Sequence[str] | None = None) -> list[tuple[str, str]]:
    """Topic and path of each ``<topic>.jsonl`` (or .jsonl.gz). ``order`` names topics that go first, in that order.

    Other files are left alone. Raises NothingToPublish.
    """
    found = {
        topic: directory / f"{topic}{suffix}"
        for topic in DEFAULT_ORDER
        for suffix in reversed(_SUFFIXES)
        if (directory / f"{topic}{suffix}").is_file()
    }
    if not found:
        message = f"{directory} has no file named <topic>.jsonl; expected for example {RECORD_FEEDS[0]}.jsonl"
        raise NothingToPublish(message)
    for topic in order or ():
        if topic not in found:
            near = difflib.get_close_matches(topic, found, 1)
            hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(found)}"
            message = f"--order names {topic!r}, and {directory} has no {topic}.jsonl; {hint}"
            raise NothingToPublish(message)
    topics = dict.fromkeys([*(order or ()), *(topic for topic in DEFAULT_ORDER if topic in found)])
    return [(topic, str(found[topic])) for topic in topics]
