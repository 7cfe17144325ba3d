"""Whether the data directory can be written to, which is asked before anything is started or stored there."""

import os

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


def _unusable(settings: Settings, why: str) -> SettingsError:
    return SettingsError(
        f"SAPHAN_DATA_DIR: found {str(settings.data_dir)!r}, which {why}; expected a directory that this user may write "
        "to, or a path where one can be made. Set SAPHAN_DATA_DIR to another."
    )
