"""Who may enter what the platform makes: it holds names and numbers."""

from pathlib import Path

import pytest

from saphan_infra.owned_process import write_json
from saphan_infra.private_dirs import make_private
from saphan_infra.settings import Settings
from saphan_projections.migrate import migrate

_OF_OTHERS = 0o007
_OF_THE_GROUP_BUT_TO_PASS = 0o060


def test_a_new_data_directory_is_its_owners_alone(tmp_path: Path) -> None:
    write_json(tmp_path / "a" / "data" / "run" / "link.json", {})
    for made in ("a", "a/data", "a/data/run"):
        assert (tmp_path / made).stat().st_mode & (_OF_OTHERS | _OF_THE_GROUP_BUT_TO_PASS) == 0


def test_a_directory_that_is_there_keeps_the_rights_that_its_operator_gave_it(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data").chmod(0o2750)
    make_private(tmp_path / "data")
    assert (tmp_path / "data").stat().st_mode & 0o7777 == 0o2750


def test_a_file_where_the_directory_should_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    with pytest.raises(FileExistsError):
        make_private(tmp_path / "data")


def test_databases_are_their_owners_alone_whatever_directory_they_are_in(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    migrate(Settings(data_dir=tmp_path).link_url)
    found = [path.name for path in tmp_path.iterdir() if path.stat().st_mode & 0o077]
    assert (tmp_path / "link.db").exists()
    assert found == []
