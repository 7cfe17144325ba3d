"""Which version of each record counts: the highest of those that are not refused, from the whole history at once."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

from oracle.oracle_validity import FIRST_TIME, LAST_TIME, first_fault

AVRO = Path(__file__).parents[2] / "schemas" / "saphan_schemas" / "avro"
HEARTBEATS = "feed-heartbeats.v1"
RECORD_FEEDS = (
    "doe.work-permits.v1", "doe.employments.v1", "doe.employers.v1", "dopa.non-thai-ids.v1", "immigration.stays.v1",
    "sso.insured-persons.v1", "sso.contributions.v1", "sso.employers.v1", "moph.health-cover.v1",
    "dlpw.inspections.v1", "employers.pairs.v1",
)  # fmt: skip

#: Feed → rows in plain JSON form, in any order, with repetitions.
History = Mapping[str, Iterable[Mapping[str, Any]]]


@dataclass(frozen=True, eq=False)
class Record:
    """The version of a record that counts. ``said`` holds dates as dates and times as times."""

    feed: str
    record_id: str
    version: int
    changed_at: datetime
    content_hash: int
    said: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Feed and id, as differences print it."""
        return f"{self.feed}/{self.record_id}"

    @property
    def rank(self) -> tuple[int, datetime, int]:
        """What makes one version higher than another."""
        return self.version, self.changed_at, self.content_hash


class Folded(NamedTuple):
    """The records that are present, by feed, and what was refused: (feed, Avro body) → why."""

    present: dict[str, list[Record]]
    refused: dict[tuple[str, bytes], str]


def read_folder(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """The feeds' files of a folder; a feed without a file said nothing."""
    return {
        feed: list(_lines(folder / f"{feed}.jsonl"))
        for feed in (*RECORD_FEEDS, HEARTBEATS)
        if (folder / f"{feed}.jsonl").exists()
    }


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        yield from (json.loads(line) for line in file if line.strip())


def fold(history: History) -> Folded:
    """Of each record the highest (version, time of change, hash of the content); a deleted one is absent."""
    folded = Folded({}, {})
    for feed in RECORD_FEEDS:
        newest: dict[str, Record] = {}
        for row in history.get(feed, ()):
            said = _read_values(feed, row)
            body = avro_body(feed, said)
            fault = first_fault(feed, said)
            if fault is not None:
                folded.refused[feed, body] = fault
                continue
            content_hash = int.from_bytes(blake2b(body, digest_size=8).digest(), "big", signed=True)
            record = Record(feed, said["record_id"], said["version"], said["changed_at"], content_hash, said)
            known = newest.get(record.record_id)
            if known is None or record.rank > known.rank:
                newest[record.record_id] = record
        folded.present[feed] = [
            replace(record, said=_without_empty_text(record.said))
            for _, record in sorted(newest.items())
            if not record.said["deleted"]
        ]
    return folded


def sso_complete_until(history: History) -> datetime | None:
    """Up to when the SSO's feed of insured persons is complete, by its newest heartbeat that can be believed."""
    said = [
        datetime.fromisoformat(row["complete_until"])
        for row in history.get(HEARTBEATS, ())
        if row["feed"] == "sso.insured-persons.v1"
    ]
    return max((moment for moment in said if FIRST_TIME <= moment < LAST_TIME), default=None)


def _without_empty_text(said: Mapping[str, Any]) -> dict[str, Any]:
    return {name: None if value == "" else value for name, value in said.items()}


# -- values and bytes ----------------------------------------------------------------------------------------------


@cache
def _fields(feed: str) -> dict[str, str]:
    """Field → date, timestamp-millis or plain type, of the newest schema."""
    newest = max((AVRO / feed).glob("*.avsc"), key=lambda path: int(path.stem))
    kinds = {}
    for field in json.loads(newest.read_text(encoding="utf-8"))["fields"]:
        kind = field["type"]
        optional = isinstance(kind, list)
        kind = kind[1] if isinstance(kind, list) else kind
        kind = kind.get("logicalType", kind["type"]) if isinstance(kind, dict) else kind
        kinds[field["name"]] = f"{kind}?" if optional else str(kind)
    return kinds


def _read_values(feed: str, row: Mapping[str, Any]) -> dict[str, Any]:
    said: dict[str, Any] = {}
    for name, kind in _fields(feed).items():
        value = row.get(name)
        if isinstance(value, str) and kind.startswith("date"):
            value = date.fromisoformat(value)
        elif isinstance(value, str) and kind.startswith("timestamp"):
            value = datetime.fromisoformat(value).astimezone(UTC)
        said[name] = value
    said["deleted"] = bool(said["deleted"])
    return said


def avro_body(feed: str, said: Mapping[str, Any]) -> bytes:
    """The record in Avro's binary form, without the five bytes in front; equal contents have equal bytes."""
    return b"".join(_avro(kind, said[name]) for name, kind in _fields(feed).items())


def _avro(kind: str, value: Any) -> bytes:
    if kind.endswith("?"):
        return b"\x00" if value is None else b"\x02" + _avro(kind[:-1], value)
    match kind:
        case "string":
            text: bytes = value.encode()
            return _zigzag(len(text)) + text
        case "boolean":
            return b"\x01" if value else b"\x00"
        case "date":
            return _zigzag((value - date(1970, 1, 1)).days)
        case "timestamp-millis":
            return _zigzag((value - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1))
        case _:
            return _zigzag(value)


def _zigzag(number: int) -> bytes:
    left = number * 2 if number >= 0 else -number * 2 - 1
    written = bytearray()
    while left > 127:
        written.append(left % 128 + 128)
        left //= 128
    written.append(left)
    return bytes(written)
