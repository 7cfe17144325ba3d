"""How files become messages: read, judged and reported row by row, sent chunk by chunk while the next one is read."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saphan_infra.clock import monotonic_seconds, now_ms
from saphan_infra.producer import Message
from saphan_publishers.delivery import Delivery
from saphan_publishers.first_seen import FirstSeen
from saphan_publishers.formats import Reading, rows_of
from saphan_publishers.heartbeats import completed, parsed_heartbeat, refused_claim, unbelievable, withheld
from saphan_publishers.input_files import STDIN, InputFile, open_input
from saphan_publishers.json_lines import json_rows
from saphan_publishers.messages import NotEncodable, heartbeat_maker
from saphan_publishers.outcomes import FileOutcome, Outcome
from saphan_publishers.repeats import SeenRecords
from saphan_publishers.reports import Report
from saphan_publishers.rows import FileNote, FileProblem, Row, row_error
from saphan_publishers.text import shown_path
from saphan_publishers.validation import RowJudge, is_rejected, record_problems
from saphan_schemas.rules import Problem
from saphan_schemas.topics import HEARTBEATS
from saphan_schemas.values import format_time_ms

#: Rows and bytes that are prepared at once: the memory that a file of any size takes.
CHUNK_ROWS_MAX = 4000
CHUNK_BYTES_MAX = 4_000_000

#: A message of a record, or a heartbeat that still needs its end offsets.
Item = Message | dict[str, Any]


@dataclass(frozen=True)
class Order:
    """What to publish: topic and path of each file, how to read them, what to say afterwards.

    ``heartbeat_ms`` is the moment up to which the feeds are complete, None to say nothing. With ``heartbeat_anyway``
    heartbeats go out although rows of their feed were rejected. ``delivery`` None is a dry run.
    """

    files: Sequence[tuple[str, str]]
    reading: Reading
    data_dir: Path
    delivery: Delivery | None
    heartbeat_ms: int | None = None
    heartbeat_anyway: bool = False


class Publication:
    """One run over some files. ``on_progress`` is called after each chunk, from the event loop.

    Raises ValueError for an order of heartbeats that nobody would believe: before anything is published.
    """

    def __init__(self, order: Order, report: Report, on_progress: Callable[[Outcome, float], None]) -> None:
        refused = None if order.heartbeat_ms is None else refused_claim(order.heartbeat_ms, order.reading.now_ms)
        if refused is not None:
            message = f"heartbeat_ms: found {refused.found}, expected {refused.expected}"
            raise ValueError(message)
        self._order = order
        self._report = report
        self._on_progress = on_progress
        self._first_seen = FirstSeen(order.data_dir / "publish" / "first-seen")
        self._began = monotonic_seconds()
        self._latest_ms = 0
        self._seen: dict[str, SeenRecords] = {}
        self.outcome = Outcome(dry_run=order.delivery is None)

    async def run(self) -> Outcome:
        """Publish everything. A bad row stops no file and a bad file no other one.

        Raises BrokerUnavailable or DeliveryRefused; ``outcome`` then tells how far it came.
        """
        order, delivery = self._order, self._order.delivery
        try:
            if delivery is not None:
                asked = [HEARTBEATS] if order.heartbeat_ms is not None else []
                await delivery.open(dict.fromkeys([*(topic for topic, _ in order.files), *asked]))
            for topic, path in order.files:
                await self._publish_file(topic, path)
            await self._publish_heartbeats()
        finally:
            if delivery is not None:
                await delivery.close()
            self._finish()
        return self.outcome

    async def _publish_file(self, topic: str, path: str) -> None:
        outcome = FileOutcome(topic, path)
        self.outcome.files.append(outcome)
        chunks = self._chunks(outcome)
        chunk = await asyncio.to_thread(next, chunks, None)
        while chunk is not None:
            sending = asyncio.ensure_future(self._send(topic, chunk))
            try:
                following = await asyncio.to_thread(next, chunks, None)
            finally:
                await sending
            outcome.published += len(chunk)
            self._on_progress(self.outcome, monotonic_seconds() - self._began)
            chunk = following

    def _chunks(self, outcome: FileOutcome) -> Iterator[list[Item]]:
        """The file's good rows, some thousand at a time; counts and reports on the way. Runs in a thread."""
        self._report.start_file(outcome.file if outcome.path != STDIN else "standard input")
        try:
            with open_input(outcome.path) as source:
                yield from self._judged(source, outcome)
        except FileProblem as problem:
            self._fail(outcome, problem)
        except OSError as error:
            todo = "Check the path and your rights to read it."
            self._fail(outcome, FileProblem("not_readable", error.strerror or str(error), "a file to read", todo))

    def _fail(self, outcome: FileOutcome, problem: FileProblem) -> None:
        outcome.failure = str(problem)
        self._report.failure(problem)

    def _judged(self, source: InputFile, outcome: FileOutcome) -> Iterator[list[Item]]:
        chunk: list[Item] = []
        chunk_bytes, read = 0, 0
        try:
            rows, judge = self._rows_and_judge(source, outcome)
            for row in rows:
                if isinstance(row, FileNote):
                    outcome.warnings += 1
                    self._report.note(row.line, row.problem)
                    continue
                item = self._taken(row, *judge(row), outcome)
                read += 1
                if item is not None:
                    chunk.append(item)
                    chunk_bytes += len(row.raw)
                if read >= CHUNK_ROWS_MAX or chunk_bytes >= CHUNK_BYTES_MAX:
                    yield chunk
                    chunk, chunk_bytes, read = [], 0, 0
        except FileProblem as problem:
            self._fail(outcome, problem)
        # Also what was good before a file broke off goes out.
        yield chunk

    def _taken(self, row: Row, item: Item | None, problems: list[Problem], outcome: FileOutcome) -> Item | None:
        """Count and report a judged row."""
        outcome.rows += 1
        if problems:
            outcome.warnings += sum(problem.severity == "warning" for problem in problems)
            self._report.row(row, problems, rejected=item is None)
        if item is None:
            outcome.rejected += 1
        return item

    def _rows_and_judge(
        self, source: InputFile, outcome: FileOutcome
    ) -> tuple[Iterator[Row | FileNote], Callable[[Row], tuple[Item | None, list[Problem]]]]:
        topic = outcome.feed
        if topic == HEARTBEATS:
            return json_rows(source, parsed_heartbeat), self._judge_heartbeat
        rows = rows_of(source, topic, self._order.reading, lambda: self._first_seen_ms(topic, outcome.path))
        return rows, RowJudge(topic, self._order.reading.now_ms, self._seen.setdefault(topic, SeenRecords())).judge

    def _judge_heartbeat(self, row: Row) -> tuple[Item | None, list[Problem]]:
        record = row.record
        if record is None or is_rejected(row.problems):
            return None, row.problems
        now = now_ms()
        sent_at = now if record["sent_at"] is None else record["sent_at"]
        problems = record_problems(HEARTBEATS, {**record, "sent_at": sent_at}, row.problems)
        if not is_rejected(problems):
            problems = [*problems, *unbelievable(record, now)]
        if is_rejected(problems):
            return None, problems
        try:
            # Made here to be judged, and once more when it is sent: with the ends and the time of then.
            heartbeat_maker().heartbeat(completed(record, {}, sent_at))
        except NotEncodable as refused:
            return None, [*problems, row_error(refused.code, "", "the heartbeat", refused.expected)]
        incomplete = frozenset() if self._order.heartbeat_anyway else self.outcome.incomplete_feeds
        problem = withheld(record["feed"], incomplete)
        return (record, problems) if problem is None else (None, [*problems, problem])

    async def _send(self, topic: str, chunk: Sequence[Item]) -> None:
        if self._order.delivery is None or not chunk:
            return
        if topic == HEARTBEATS:
            messages = await self._heartbeat_messages([item for item in chunk if isinstance(item, dict)])
        else:
            messages = [item for item in chunk if isinstance(item, Message)]
        await self._order.delivery.send(topic, messages)

    async def _heartbeat_messages(self, records: Sequence[dict[str, Any]]) -> list[Message]:
        """The heartbeats with the end offsets of their feeds now: after all that was published before them."""
        delivery = self._order.delivery
        if delivery is None:
            return []
        maker, ends = heartbeat_maker(), {}
        for feed in {record["feed"] for record in records if record["end_offsets"] is None}:
            ends[feed] = await delivery.end_offsets(feed)
        return [maker.heartbeat(completed(record, ends.get(record["feed"], {}), now_ms())) for record in records]

    async def _publish_heartbeats(self) -> None:
        """What ``--heartbeat`` asks for: one for each feed of this run."""
        until_ms = self._order.heartbeat_ms
        if until_ms is None:
            return
        incomplete = frozenset() if self._order.heartbeat_anyway else self.outcome.incomplete_feeds
        for feed in dict.fromkeys(topic for topic, _ in self._order.files if topic != HEARTBEATS):
            if feed in incomplete:
                self.outcome.withheld.append(feed)
                continue
            record = {"feed": feed, "complete_until": until_ms, "end_offsets": None, "sent_at": None}
            await self._send(HEARTBEATS, [record])
            self.outcome.heartbeats.append(f"{feed} {format_time_ms(until_ms)}")

    def _first_seen_ms(self, topic: str, path: str) -> int:
        if not Path(path).is_file():
            # It would have to be read twice.
            todo = "Give --as-of with the day (or time) at which the data was taken, such as --as-of 2026-11-23."
            raise FileProblem("no_as_of", "a pipe without versions and without --as-of", "the time of the data", todo)
        content_hash = self._first_seen.content_hash(path, self._order.reading.words(topic))
        # Two files of one run must not count from the same millisecond: the later one shall win.
        self._latest_ms = max(now_ms(), self._latest_ms + 1)
        if self._order.delivery is None:
            return self._first_seen.known_ms(content_hash) or self._latest_ms
        return self._first_seen.remember(content_hash, self._latest_ms)

    def _finish(self) -> None:
        outcome = self.outcome
        outcome.seconds = monotonic_seconds() - self._began
        self._report.close(
            f"{file.feed} {file.file}: {file.rows} rows, {file.published} published, {file.rejected} rejected, "
            f"{file.warnings} warnings" + (", NOT READ TO ITS END" if file.failure else "")
            for file in outcome.files
        )
        outcome.report = shown_path(self._report.path) if self._report.written else None
