"""Which version the rows of a file have that carry none: the same file is the same, a corrected one wins."""

import gzip
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saphan_publishers.first_seen import FirstSeen
from saphan_publishers.mapping_file import parse_mapping
from saphan_publishers.outcomes import Outcome
from saphan_publishers.repeats import SeenRecords
from saphan_publishers.rows import FileProblem
from saphan_schemas.topics import SSO_EMPLOYERS
from saphan_schemas.values import parse_time_ms

PublishFiles = Callable[..., Outcome]
MAPPING = """
record_id = { columns = ["account", "branch"] }
[fields]
sso_account = "account"
sso_branch = "branch"
name = "name"
"""


def publish(publish_files: PublishFiles, path: Path, text: str = MAPPING, **options: Any) -> Outcome:
    outcome = publish_files(SSO_EMPLOYERS, path, mapping=parse_mapping(text, SSO_EMPLOYERS), **options)
    assert not outcome.failed, outcome.files[0].failure
    return outcome


def employers(tmp_path: Path, name: str, file: str = "employers.csv") -> Path:
    path = tmp_path / file
    path.write_text(f"account,branch,name\n7100012345,000000,{name}\n7100012345,000001,Same\n", "utf-8")
    return path


def test_the_same_file_twice_is_the_same_messages(publish_files: PublishFiles, broker: Any, tmp_path: Path) -> None:
    for _ in range(2):
        publish(publish_files, employers(tmp_path, "A"))
    messages = broker.topics[SSO_EMPLOYERS]
    assert messages[:2] == messages[2:]


def test_a_copy_under_another_name_or_packed_is_the_same_file(
    publish_files: PublishFiles, broker: Any, tmp_path: Path
) -> None:
    publish(publish_files, employers(tmp_path, "A"))
    publish(publish_files, employers(tmp_path, "A", "copy.csv"))
    packed = tmp_path / "employers.csv.gz"
    packed.write_bytes(gzip.compress((tmp_path / "copy.csv").read_bytes()))
    publish(publish_files, packed)
    assert len({message.value for message in broker.topics[SSO_EMPLOYERS]}) == 2


def test_a_corrected_file_wins_and_the_earlier_one_published_again_does_not(
    publish_files: PublishFiles, broker: Any, tmp_path: Path
) -> None:
    for name in ("Wrong", "Right", "Wrong"):
        publish(publish_files, employers(tmp_path, name))
    rows = [row for row in broker.records(SSO_EMPLOYERS) if row["sso_branch"] == "000000"]
    assert max(rows, key=lambda row: (row["version"], row["changed_at"]))["name"] == "Right"
    assert len({(row["version"], row["name"]) for row in rows}) == 2


def test_the_same_bytes_read_by_another_mapping_are_a_correction(
    publish_files: PublishFiles, broker: Any, tmp_path: Path
) -> None:
    publish(publish_files, employers(tmp_path, "A"))
    publish(publish_files, employers(tmp_path, "A"), MAPPING + 'workers = { constant = "5" }\n')
    first, second = (row for row in broker.records(SSO_EMPLOYERS) if row["sso_branch"] == "000000")
    assert second["version"] > first["version"]


def test_files_of_one_run_count_in_their_order(publish_files: PublishFiles, broker: Any, tmp_path: Path) -> None:
    paths = [employers(tmp_path, f"Name {number}", f"{number}.csv") for number in range(20)]
    publish_files(SSO_EMPLOYERS, *paths, mapping=parse_mapping(MAPPING, SSO_EMPLOYERS))
    versions = [row["version"] for row in broker.records(SSO_EMPLOYERS) if row["sso_branch"] == "000000"]
    assert versions == sorted(set(versions))


def test_as_of_and_a_date_in_the_file_name_decide_before_anything_else(
    publish_files: PublishFiles, broker: Any, tmp_path: Path
) -> None:
    named = 'as_of = { file_name = "YYYYMMDD", era = "BE" }\n' + MAPPING
    publish(publish_files, employers(tmp_path, "A", "employers-25691123.csv"), named)
    publish(publish_files, employers(tmp_path, "A", "employers-25691123.csv"), named, as_of=1_800_000_000_000)
    versions = [row["version"] for row in broker.records(SSO_EMPLOYERS)[::2]]
    assert versions == [parse_time_ms("2026-11-23T00:00:00+07:00"), 1_800_000_000_000]


def test_a_column_of_changes_gives_the_version(publish_files: PublishFiles, broker: Any, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("account,branch,name,changed\n7100012345,000000,A,2026-11-23T00:00:00Z\n", "utf-8")
    publish(publish_files, path, MAPPING + 'changed_at = "changed"\n')
    (row,) = broker.records(SSO_EMPLOYERS)
    assert row["version"] == row["changed_at"] == parse_time_ms("2026-11-23T00:00:00Z")


OWN_NAMES = "record_id,version,changed_at,sso_account,sso_branch\nS-1,3,2026-11-23T00:00:00Z,7100012345,000000\n"


def test_a_file_in_the_platform_s_own_field_names_has_its_own_versions_and_is_not_remembered(
    publish_files: PublishFiles, broker: Any, tmp_path: Path
) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(OWN_NAMES, "utf-8")
    assert publish_files(SSO_EMPLOYERS, path).published == 1
    (row,) = broker.records(SSO_EMPLOYERS)
    assert (row["version"], row["changed_at"]) == (3, parse_time_ms("2026-11-23T00:00:00Z"))
    assert not (tmp_path / "data" / "publish").exists()


@pytest.mark.parametrize(("text", "published"), [(OWN_NAMES, 1), ("record_id,sso_account,sso_branch\nS-1,1,1\n", 0)])
def test_standard_input_needs_a_time_only_where_its_rows_have_none(
    publish_files: PublishFiles, monkeypatch: pytest.MonkeyPatch, text: str, published: int
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    outcome = publish_files(SSO_EMPLOYERS, "-")
    assert outcome.published == published
    assert ("--as-of" in str(outcome.files[0].failure)) is not bool(published)


def test_a_dry_run_does_not_make_a_file_known(publish_files: PublishFiles, tmp_path: Path) -> None:
    publish(publish_files, employers(tmp_path, "A"), dry_run=True)
    assert not (tmp_path / "data" / "publish").exists()


def test_two_publishers_at_once_agree_on_the_first_ones_time(tmp_path: Path) -> None:
    seen = FirstSeen(tmp_path)
    assert [seen.remember("hash", moment) for moment in (5, 9, 3)] == [5, 5, 5]
    assert seen.known_ms("other") is None


def test_an_unreadable_note_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "hash").write_text("", "ascii")
    with pytest.raises(FileProblem, match="--as-of"):
        FirstSeen(tmp_path).known_ms("hash")


@given(st.lists(st.tuples(st.integers(0, 3000), st.binary(max_size=3)), max_size=400))
def test_seen_records_answers_as_a_dictionary_would(rows: list[tuple[int, bytes]]) -> None:
    seen, model = SeenRecords(), dict[str, bytes]()
    for number, content in rows:
        record_id = f"E-{number}"
        expected = None if record_id not in model else model[record_id] == content
        assert seen.add(record_id, content) is expected
        model.setdefault(record_id, content)


def test_seen_records_grows() -> None:
    seen = SeenRecords()
    assert all(seen.add(f"E-{number}", b"") is None for number in range(20_000))
    assert all(seen.add(f"E-{number}", b"") is True for number in range(20_000))


def test_ids_whose_hashes_are_alike_in_their_first_bytes_are_two_records() -> None:
    # The first 40 bits of their hashes are the same.
    seen = SeenRecords()
    assert [seen.add(f"E-{number}\x1f1", f"{number}".encode()) for number in (824_258, 1_214_589)] == [None, None]


@pytest.mark.parametrize("place", ["taken/first-seen", "/proc/none/first-seen"])
def test_a_place_that_cannot_note_when_a_file_was_first_seen_is_told_and_not_blamed_on_the_file(
    tmp_path: Path, place: str
) -> None:
    (tmp_path / "taken").write_bytes(b"")
    with pytest.raises(FileProblem, match=r"first-seen, where it is noted .* give --as-of") as told:
        FirstSeen(tmp_path / place).remember("00", 1)
    assert told.value.code == "first_seen_unusable"
