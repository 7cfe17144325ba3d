import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from saphan_consumers.delivering import FileDelivery
from saphan_consumers.delivery import Delivery, fingerprint_of
from saphan_consumers.file_sink import FileSink, line_of
from saphan_consumers.ledger import LedgerUnusable
from saphan_consumers.told import open_ledger

Alert = Callable[..., dict[str, Any]]
STATES = ("due", "overdue", "resolved")


class Killed(Exception):
    """Stands for kill -9 at this point: nothing after it happens."""


class FragileSink(FileSink):
    """Dies in its ``deaths``-th append after so many bytes of the lines, or (None) after all of them."""

    bytes_until_death: int | None = None
    dies = False

    def append(self, deliveries: list[Delivery]) -> None:
        if not self.dies:
            super().append(deliveries)
            return
        lines = b"".join(map(line_of, deliveries))
        whole = self.bytes_until_death is None
        with self.path.open("ab") as file:
            file.write(lines if whole else lines[: self.bytes_until_death])
        raise Killed


def ids_in(path: Path) -> list[str]:
    return [orjson.loads(line)["id"] for line in path.read_bytes().splitlines()]


def run(folder: Path, log: Any, chunk_size: int, death: tuple[int, int | None] | None = None) -> None:
    """One life of the consumer: from the ledger's position to the end of the log, or to its death."""
    with open_ledger(folder, "file") as ledger:
        sink = FragileSink(folder / "alerts.jsonl", ledger)
        delivery = FileDelivery(ledger, sink)
        try:
            start = delivery.begin().positions.get(log.place, 0)
            for number, chunk in enumerate(log.chunks(start, chunk_size)):
                if death is not None and number == death[0]:
                    sink.dies, sink.bytes_until_death = True, death[1]
                delivery.take(chunk, {})
        except Killed:
            pass
        finally:
            delivery.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 9), st.sampled_from(STATES)), max_size=30),
    deaths=st.lists(st.tuples(st.integers(0, 4), st.none() | st.integers(0, 2000), st.integers(1, 9)), max_size=5),
)
def test_killed_at_any_byte_the_file_ends_with_each_state_once(
    rows: list[tuple[str, int, str]],
    deaths: list[tuple[int, int | None, int]],
    make_alert: Alert,
    make_log: Callable[[], Any],
) -> None:
    log = make_log()
    log.append(*(make_alert(f"A-{name}", version, state) for name, version, state in rows))
    with tempfile.TemporaryDirectory() as calm, tempfile.TemporaryDirectory() as stormy:
        run(Path(calm), log, 7)
        for chunk_number, cut, chunk_size in deaths:
            run(Path(stormy), log, chunk_size, (chunk_number, cut))
        run(Path(stormy), log, 5)
        expected, found = ids_in(Path(calm) / "alerts.jsonl"), ids_in(Path(stormy) / "alerts.jsonl")
    assert found == expected
    assert len(set(found)) == len(found)


def test_a_replay_of_the_log_from_its_start_adds_nothing(folder: Path, alert_log: Any, make_alert: Alert) -> None:
    alert_log.append(make_alert(version=1), make_alert(version=2, state="overdue"))
    run(folder, alert_log, 10)
    before = (folder / "alerts.jsonl").read_bytes()
    with open_ledger(folder, "file") as ledger, ledger.transaction():
        ledger.move({alert_log.place: 0})
    run(folder, alert_log, 1)
    assert (folder / "alerts.jsonl").read_bytes() == before


def test_a_lost_ledger_is_made_again_from_the_file(folder: Path, alert_log: Any, make_alert: Alert) -> None:
    alert_log.append(make_alert("A-a"), make_alert("A-b"), make_alert("A-a", 2, "overdue"), make_alert("A-a", 3, "due"))
    run(folder, alert_log, 10)
    for file in folder.glob("delivery-file.db*"):
        file.unlink()
    alert_log.append(make_alert("A-a", 4, "overdue"))
    run(folder, alert_log, 10)
    due, overdue = (fingerprint_of(make_alert(state=state)) for state in ("due", "overdue"))
    assert ids_in(folder / "alerts.jsonl") == [
        f"A-a-{due}",
        f"A-b-{due}",
        f"A-a-{overdue}",
        f"A-a-{due}-2",
        f"A-a-{overdue}-2",
    ]


def test_a_file_that_was_renamed_away_is_begun_anew_without_repeats(
    folder: Path, alert_log: Any, make_alert: Alert
) -> None:
    alert_log.append(make_alert("A-a"))
    run(folder, alert_log, 10)
    (folder / "alerts.jsonl").rename(folder / "yesterday.jsonl")
    alert_log.append(make_alert("A-b"))
    run(folder, alert_log, 10, (0, 20))
    run(folder, alert_log, 10)
    assert [line[:3] for line in ids_in(folder / "yesterday.jsonl")] == ["A-a"]
    assert [line[:3] for line in ids_in(folder / "alerts.jsonl")] == ["A-b"]


def test_a_file_that_is_renamed_away_while_we_run_is_begun_anew(
    folder: Path, alert_log: Any, make_alert: Alert
) -> None:
    alert_log.append(make_alert("A-a"), make_alert("A-b"))
    first, second = alert_log.chunks(0, 1)
    with open_ledger(folder, "file") as ledger:
        delivery = FileDelivery(ledger, FileSink(folder / "alerts.jsonl", ledger))
        delivery.begin()
        delivery.take(first, {})
        (folder / "alerts.jsonl").rename(folder / "yesterday.jsonl")
        delivery.take(second, {})
        delivery.close()
    assert [line[:3] for line in ids_in(folder / "alerts.jsonl")] == ["A-b"]


def test_what_others_wrote_into_the_file_before_us_stays(folder: Path, alert_log: Any, make_alert: Alert) -> None:
    (folder / "alerts.jsonl").write_bytes(b'{"note": "ours"}\nno newline')
    alert_log.append(make_alert())
    run(folder, alert_log, 10)
    lines = (folder / "alerts.jsonl").read_bytes().splitlines()
    assert lines[:2] == [b'{"note": "ours"}', b"no newline"]
    assert len(lines) == 3


def test_a_file_that_is_cut_short_while_it_is_read_is_told_and_taken_as_it_is_the_next_time(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Delivery read behind the end of the file for ever."""

    class CutShort(FileSink):
        def _end_last_line(self, size: int) -> int:
            os.truncate(self.path, size - 5)
            return size

    reads: list[int] = []
    os_pread = os.pread

    def counted(descriptor: int, length: int, place: int) -> bytes:
        reads.append(place)
        assert len(reads) < 20, "nothing can come of reading on"
        return os_pread(descriptor, length, place)

    monkeypatch.setattr(os, "pread", counted)
    path = folder / "alerts.jsonl"
    path.write_bytes(b'{"note": "ours"}\n')
    with open_ledger(folder, "file") as ledger:
        sink = CutShort(path, ledger)
        with pytest.raises(OSError, match="cut short"):
            sink.recover()
        sink.close()
        again = FileSink(path, ledger)
        assert again.recover() == 0
        again.close()
    assert path.read_bytes() == b'{"note": "ou\n'


def test_a_message_that_cannot_be_read_is_set_aside_and_its_neighbours_are_delivered(
    folder: Path, alert_log: Any, make_alert: Alert
) -> None:
    alert_log.append(make_alert("A-a"), b"\x00nonsense", None, make_alert("A b"), make_alert("A-c"))
    run(folder, alert_log, 10)
    run(folder, alert_log, 10)
    assert [line[:3] for line in ids_in(folder / "alerts.jsonl")] == ["A-a", "A-c"]
    with open_ledger(folder, "file") as ledger:
        rows = ledger.db.execute('SELECT "offset", reason, value FROM quarantine ORDER BY "offset"').fetchall()
    assert [(row[0], row[1]) for row in rows] == [(1, "unknown_schema_id"), (2, "no_value"), (3, "not_an_alert")]
    assert rows[0][2] == b"\x00nonsense"


def test_a_full_disk_leaves_the_ledger_where_it_was(folder: Path, alert_log: Any, make_alert: Alert) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    alert_log.append(make_alert())
    with open_ledger(folder, "file") as ledger:
        sink = FileSink(folder / "alerts.jsonl", ledger)
        delivery = FileDelivery(ledger, sink)
        delivery.begin()
        full = os.open("/dev/full", os.O_WRONLY)
        ours, sink._descriptor = sink._descriptor, full
        sink._moved_away = lambda: False  # type: ignore[method-assign]  # the device is not our file
        with pytest.raises(OSError, match="No space"):
            delivery.take(alert_log.chunks(0, 10)[0], {})
        os.close(ours)
        assert not ledger.positions()
        delivery.close()
    run(folder, alert_log, 10)
    assert len(ids_in(folder / "alerts.jsonl")) == 1


def test_a_line_is_on_the_disk_before_the_ledger_says_so(
    folder: Path, alert_log: Any, make_alert: Alert, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a loss of power the ledger would count a state as delivered that no file holds."""
    alert_log.append(make_alert("A-a"), make_alert("A-b"))
    synced: dict[int, int] = {}

    def note(descriptor: int) -> None:
        os_fsync(descriptor)
        synced[os.fstat(descriptor).st_ino] = os.fstat(descriptor).st_size

    os_fsync = os.fsync
    monkeypatch.setattr(os, "fsync", note)
    with open_ledger(folder, "file") as ledger:
        sink = FileSink(folder / "alerts.jsonl", ledger)
        delivery = FileDelivery(ledger, sink)
        delivery.begin()
        for one in alert_log.chunks(0, 1):
            delivery.take(one, {})
            there = (folder / "alerts.jsonl").stat()
            assert synced[there.st_ino] == there.st_size > 0
        delivery.close()


def test_nothing_of_a_ledgers_transaction_that_fails_is_kept(folder: Path, alert_log: Any) -> None:
    with open_ledger(folder, "file") as ledger:

        def fail() -> None:
            with ledger.transaction():
                ledger.move({alert_log.place: 7})
                raise Killed

        with pytest.raises(Killed):
            fail()
        assert ledger.positions() == {}
        with ledger.transaction():
            ledger.move({alert_log.place: 3})
        assert ledger.positions() == {alert_log.place: 3}


def test_two_consumers_never_share_a_ledger(folder: Path) -> None:
    with open_ledger(folder, "file"), pytest.raises(LedgerUnusable, match="in use by another process"):
        open_ledger(folder, "file")
    open_ledger(folder, "file").close()


def test_a_ledger_of_another_version_is_refused_with_advice(folder: Path) -> None:
    with open_ledger(folder, "file") as ledger:
        ledger.db.execute("PRAGMA user_version=99")
    with pytest.raises(LedgerUnusable, match="layout 99"):
        open_ledger(folder, "file")
