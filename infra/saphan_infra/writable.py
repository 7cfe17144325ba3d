"""Whether the data directory can be written to or looked into, which is asked before anything is stored or read there."""

import os
from pathlib import Path

from saphan_infra.private_dirs import make_private
from saphan_infra.settings import Settings, SettingsError, load_settings


def load_settings_to_write() -> Settings:
    """As load_settings, and the data directory is there and ours to write to. Raises SettingsError."""
    settings = load_settings()
    require_data_dir(settings)
    return settings


def require_data_dir(settings: Settings) -> None:
    """Make the data directory where it is missing. Raises SettingsError where that, or writing there, is impossible."""
    path = settings.data_dir
    try:
        make_private(path)
    except FileExistsError:
        raise _unusable(settings, "is not a directory") from None
    except OSError as error:
        raise _unusable(settings, f"cannot be made ({error.strerror})") from None
    if not os.access(path, os.W_OK | os.X_OK):
        raise _unusable(settings, "this user may not write to")


def require_readable(settings: Settings) -> None:
    """Raises SettingsError where the data directory is there and this user may not look into it: it would seem empty."""
    path = settings.data_dir
    for part in (path, path / "run", path / "kafka"):
        if not _may_enter(part):
            message = (
                f"SAPHAN_DATA_DIR: {part} belongs to another user, who alone may enter it. Run this as the user who runs "
                "the platform, or set SAPHAN_DATA_DIR to another."
            )
            raise SettingsError(message)


def _may_enter(path: Path) -> bool:
    try:
        # As the effective user, whose rights every access is measured by.
        return not path.is_dir() or os.access(path, os.X_OK, effective_ids=os.access in os.supports_effective_ids)
    except PermissionError:
        return False  # what is above it is closed


def _unusable(settings: Settings, why: str) -> SettingsError:
    return SettingsError(
        f"SAPHAN_DATA_DIR: found {str(settings.data_dir)!r}, which {why}; expected a directory that this user may write "
        "to, or a path where one can be made. Set SAPHAN_DATA_DIR to another."
    )
