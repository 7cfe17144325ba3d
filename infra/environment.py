"""Whether the checkout's Python environment is complete, and how it becomes so. Run by ./saphan; standard library only.

Arguments: "run" or "test" (which packages), and the stamp to leave when they are installed.
"""

import contextlib
import fcntl
import os
import pwd
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
VENV = CHECKOUT / ".venv"
PYTHON = VENV / "bin" / "python"
_LOCKS = {"run": "requirements.lock", "test": "requirements-test.lock"}


def main(group: str, stamp: str) -> int:
    """Make what is missing, one process at a time. The exit code."""
    state = CHECKOUT / ".saphan"
    _make_private(state)
    with (state / "environment.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _stamp_path(group).is_file() and _stamp_path(group).read_text(encoding="utf-8") == stamp:
            return 0  # another ./saphan has just done it
        try:
            _make(group)
        except subprocess.CalledProcessError as failed:
            _say(
                f"Saphan's environment could not be completed (exit code {failed.returncode}); the lines above say why. "
                "Check the way to the Python package index and run this again: what is there is kept. "
                f"To start from nothing, delete {VENV}."
            )
            return 1
        # Whoever has the test packages has the others too.
        for name in ("run", group):
            _stamp_path(name).write_text(stamp, encoding="utf-8")
    return 0


def _make_private(directory: Path) -> None:
    """For its owner alone. Root's PostgreSQL runs as `nobody`, who must pass through: as saphan_infra.private_dirs does it."""
    if directory.exists():
        return
    directory.mkdir(mode=0o700, exist_ok=True)
    if os.geteuid() == 0:
        with contextlib.suppress(KeyError):
            os.chown(directory, -1, pwd.getpwnam("nobody").pw_gid)
            directory.chmod(0o710)


def _make(group: str) -> None:
    if not _works():
        _say(f"Making a Python environment in {VENV} …")
        _run([sys.executable, "-m", "venv", "--clear", str(VENV)])
    _say(f"Installing the locked packages ({_LOCKS[group]}); the first time takes a minute or two …")
    pip = [str(PYTHON), "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--quiet"]
    _run([*pip, "--require-hashes", "-r", str(CHECKOUT / _LOCKS[group])])
    # The build back end is in the lock file, so nothing unlocked is fetched for this step either.
    _run([*pip, "--no-deps", "--no-build-isolation", "--editable", str(CHECKOUT)])
    _say("Ready.")


def _works() -> bool:
    """Whether there is an environment whose Python runs and is recent enough."""
    check = "import sys, pip; sys.exit(sys.version_info < (3, 11))"
    try:
        return subprocess.run([PYTHON, "-c", check], capture_output=True, check=False).returncode == 0  # noqa: S603
    except OSError:
        return False


def _run(command: Sequence[str]) -> None:
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, env={**os.environ, "PIP_ROOT_USER_ACTION": "ignore"})  # noqa: S603


def _stamp_path(group: str) -> Path:
    return VENV / f"saphan-{group}.stamp"


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
