"""What an agency types to publish its files."""

from pathlib import Path
from typing import Annotated

import typer

from saphan_cli import exits

_FEED_HELP = "Topic of the feed, such as doe.employments.v1; feed-heartbeats.v1 for heartbeats."
_FILES_HELP = "Files or pipes (also .gz); - is standard input, read to its end."
_DIR_HELP = "Publish every <topic>.jsonl (or .jsonl.gz) of a directory: feeds first, heartbeats last."
_ORDER_HELP = "With --dir: topics that go first, separated by commas, in this order."
_FORMAT_HELP = "jsonl, csv or monthly (the SSO's fixed-width file); default: by the first bytes."
_MAPPING_HELP = "TOML file: which column is which field. See publishers/README.md."
_ENCODING_HELP = "utf-8 or tis-620; default: by the bytes."
_AS_OF_HELP = "When the data of files without versions was taken: a day or an ISO time. Default: when first published."
_HEARTBEAT_HELP = (
    "Afterwards say that the feed is complete up to this time (ISO or now; a day: its beginning in Bangkok)."
)
_ANYWAY_HELP = "Send heartbeats although rows of their feed were rejected."
_REPORT_HELP = (
    "Where the report goes (JSON Lines; a summary and the rejected rows beside it). Default: data_dir/reports."
)
_WAIT_HELP = "Give up when Kafka has been away for so long; 0: wait for ever."


def register(app: typer.Typer) -> None:
    """Add ``publish``."""

    @app.command("publish")
    def publish(
        *,
        feed: Annotated[str | None, typer.Argument(help=_FEED_HELP)] = None,
        files: Annotated[list[str] | None, typer.Argument(help=_FILES_HELP)] = None,
        directory: Annotated[Path | None, typer.Option("--dir", help=_DIR_HELP)] = None,
        order: Annotated[str | None, typer.Option("--order", help=_ORDER_HELP)] = None,
        file_format: Annotated[str | None, typer.Option("--format", help=_FORMAT_HELP)] = None,
        mapping: Annotated[Path | None, typer.Option("--mapping", help=_MAPPING_HELP)] = None,
        encoding: Annotated[str | None, typer.Option("--encoding", help=_ENCODING_HELP)] = None,
        as_of: Annotated[str | None, typer.Option("--as-of", help=_AS_OF_HELP)] = None,
        heartbeat: Annotated[str | None, typer.Option("--heartbeat", help=_HEARTBEAT_HELP)] = None,
        heartbeat_anyway: Annotated[bool, typer.Option("--heartbeat-anyway", help=_ANYWAY_HELP)] = False,
        dry_run: Annotated[bool, typer.Option("--dry-run", help="Validate and report only.")] = False,
        report: Annotated[Path | None, typer.Option("--report", help=_REPORT_HELP)] = None,
        wait_seconds: Annotated[float, typer.Option("--wait-seconds", min=0, help=_WAIT_HELP)] = 300,
        as_json: Annotated[bool, typer.Option("--json", help="Summary as JSON on standard output.")] = False,
    ) -> None:
        """Publish an agency's files to its feed; bad rows go to a report.

        Exit codes: 0 all rows published; 1 a file could not be read (to its end) or the report not be written; 2 wrong
        usage, mapping or settings; 3 Kafka could not be reached; 4 some rows were rejected. Publishing again what was
        published changes nothing.
        """
        from saphan_cli.publish_files import Request, publish_files
        from saphan_infra.writable import load_settings_to_write

        request = Request(
            feed=feed,
            files=files or [],
            directory=directory,
            order=order,
            format=file_format,
            mapping=mapping,
            encoding=encoding,
            as_of=as_of,
            heartbeat=heartbeat,
            heartbeat_anyway=heartbeat_anyway,
            dry_run=dry_run,
            report=report,
            wait_seconds=wait_seconds,
            as_json=as_json,
        )
        with exits.told():
            load_settings_to_write()  # for the report, and for when each record was first seen
        publish_files(request)
