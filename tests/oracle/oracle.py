"""Computes from the feeds' files, in the plainest way, which workers there are and which alerts are settled.

    python tests/oracle/oracle.py DIR [--as-of T]

DIR holds ``<topic>.jsonl`` in plain JSON, as `saphan simulate` writes it and `saphan publish` reads it. On stdout goes
one JSON object a line: a worker or an alert. Nothing here comes from the platform's code but the schemas' JSON files.
"""

import argparse
import json
import sys
from datetime import datetime
from pathlib import Path


def main() -> None:
    """Read the folder that is named and print what follows."""
    parser = argparse.ArgumentParser(description="Integrated workers and settled alerts from the feeds' files.")
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder with <topic>.jsonl files")
    parser.add_argument(
        "--as-of", type=datetime.fromisoformat, metavar="T", help="moment, such as 2026-03-01T00:00:00Z"
    )
    wanted = parser.parse_args()
    if wanted.as_of is not None and wanted.as_of.tzinfo is None:
        parser.error("--as-of needs Z or an offset, such as 2026-03-01T00:00:00Z")
    if not wanted.folder.is_dir():
        parser.error(f"{wanted.folder} is no folder; name the one that holds the feeds' .jsonl files")

    # A script finds its own folder first; the modules are found from the one above, as in the tests.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from oracle.oracle_outcome import compute
    from oracle.oracle_records import read_folder

    outcome = compute(read_folder(wanted.folder), wanted.as_of)
    for kind, found in (("worker", outcome.workers), ("alert", outcome.alerts)):
        for name, fields in sorted(found.items()):
            sys.stdout.write(json.dumps({"what": kind, "name": name, **fields}) + "\n")


if __name__ == "__main__":
    main()
