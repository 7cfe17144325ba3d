"""Compares a platform's committed state with the oracle: which worker, which field, which records.

    python tests/oracle/compare.py DIR --state URL [--as-of T]

DIR holds everything that was ever published, as ``<topic>.jsonl`` in plain JSON; URL is that of integrate's tables,
such as sqlite:///state.db. Exit code 1 says that there are differences.
"""

import argparse
import sys
from datetime import datetime
from pathlib import Path


def main() -> int:
    """Print the differences; the exit code says whether there are any."""
    parser = argparse.ArgumentParser(description="Differences between the oracle and a platform's tables.")
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder with <topic>.jsonl files")
    parser.add_argument("--state", required=True, metavar="URL", help="SQLAlchemy URL of integrate's tables")
    parser.add_argument("--as-of", type=datetime.fromisoformat, metavar="T", help="moment with Z or an offset")
    wanted = parser.parse_args()
    if wanted.as_of is not None and wanted.as_of.tzinfo is None:
        parser.error("--as-of needs Z or an offset, such as 2026-03-01T00:00:00Z")
    if not wanted.folder.is_dir():
        parser.error(f"{wanted.folder} is no folder; name the one that holds the feeds' .jsonl files")

    # A script finds its own folder first; the modules are found from the one above, as in the tests.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from oracle.differences import differences, printed
    from oracle.oracle_outcome import compute
    from oracle.oracle_records import read_folder
    from oracle.platform_side import committed

    from saphan_projections.database import Database
    from saphan_schemas.values import time_to_ms

    history = read_folder(wanted.folder)
    database = Database(wanted.state)
    try:
        with database.reading() as transaction:
            says = committed(transaction, None if wanted.as_of is None else time_to_ms(wanted.as_of))
    finally:
        database.close()
    found = differences(compute(history, wanted.as_of), says.settled)
    # The table's rows hold what was decided with the heartbeat as it is, whatever moment is asked for.
    found += differences(compute(history)._replace(workers={}), says.stored)
    if found:
        sys.stdout.write(printed(found) + "\n")
    sys.stderr.write(f"{len(found)} differences in {len(says.settled.workers)} workers\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
