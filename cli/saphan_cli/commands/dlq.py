"""What could not be processed, why, and how it comes back once it is repaired: `dlq list`, `show` and `retry`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from saphan_cli import dead_letters, exits, output
from saphan_cli.dead_letters import DeadLetter

if TYPE_CHECKING:
    from saphan_infra.settings import Settings

_SHOWN_IN_TABLE = 50
#: `dlq show` tells them, too.
_SPARE = ("Message of", "Refused by")
_TOLD_BYTES_MAX = 4_000
_REASON_HELP = "Only those refused for this reason, such as corrupt or unknown_schema_id."
_VALUE_HELP = "The repaired value of the one letter: a record as JSON, or bytes in the wire format."
_FORCE_HELP = "Also publish what would be refused again, or was retried before."


def register(app: typer.Typer) -> None:
    """Add the group ``dlq``."""
    group = typer.Typer(no_args_is_help=True, help="Dead letters: list, show one, publish repaired ones again.")
    group.command("list")(list_letters)
    group.command("show")(show)
    group.command("retry")(retry)
    app.add_typer(group, name="dlq")


def list_letters(
    *,
    reason: Annotated[str | None, typer.Option(help=_REASON_HELP)] = None,
    waiting: Annotated[bool, typer.Option("--waiting", help="Only those that were not retried yet.")] = False,
    limit: Annotated[
        int | None, typer.Option(min=0, help="At most so many, the newest. 0: all. Default: 50 in a table.")
    ] = None,
    as_json: output.AsJson = False,
) -> None:
    """List dead letters: id, reason, origin, and whether they were retried. Their content is not shown.

    Exit codes: 0 listed; 2 wrong settings; 3 Kafka could not be reached.
    """
    with output.told():
        found = [
            letter
            for letter in dead_letters.read_all(output.settings(), with_content=lambda _: False)
            if reason in (None, letter.reason) and not (waiting and letter.retried_at)
        ]
        count = (None if as_json else _SHOWN_IN_TABLE) if limit is None else (limit or None)
        shown = found if count is None else found[-count:]
        if as_json:
            output.print_json_array(_form(letter) for letter in shown)
            return
        rows = [
            (letter.letter_id, letter.stage, letter.reason, letter.detail, output.time_text(letter.refused_at), output.time_text(letter.retried_at))
            for letter in shown
        ]  # fmt: skip
        output.print_table(
            ("Id", "Refused by", "Reason", "Detail", "Message of", "Retried at"), rows, text=("Detail",), spare=_SPARE
        )
        if len(shown) < len(found):
            output.note(f"The newest {len(shown)} of {len(found)}; --limit 0 shows all.")


def show(
    letter_id: Annotated[str, typer.Argument(help="The letter's id: topic-partition-offset of the refused message.")],
    *,
    personal_data: Annotated[
        bool, typer.Option("--personal-data", help="Also show the message itself, which may name people.")
    ] = False,
    as_json: output.AsJson = False,
) -> None:
    """Show one dead letter; with --personal-data its content, decoded as far as possible.

    Exit codes: 0 shown; 1 there is no such letter; 2 wrong settings; 3 Kafka could not be reached.
    """
    with output.told():
        settings = output.settings()
        letter = _one(dead_letters.read_all(settings, with_content=lambda name: name == letter_id), letter_id)
        refusal = dead_letters.still_refused(letter, dead_letters.key_for(letter, letter.value), letter.value, settings)
        form = {
            **_form(letter),
            "would_be_taken_now": refusal is None,
            "would_be_refused_because": f"{refusal.reason}: {refusal.detail}" if refusal else None,
        }
        if personal_data:
            form |= _content(letter)
        if as_json:
            output.print_json(form)
            return
        output.print_table(("Dead letter", letter.letter_id), list(form.items())[1:], text=(letter.letter_id,))
        if not personal_data:
            output.note("The message itself is not shown, it may name people; --personal-data shows it.")


def retry(
    letter_id: Annotated[str | None, typer.Argument(help="The letter's id; or give --all or --reason.")] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="All that were not retried yet.")] = False,
    reason: Annotated[str | None, typer.Option(help=_REASON_HELP)] = None,
    value_file: Annotated[Path | None, typer.Option(help=_VALUE_HELP)] = None,
    force: Annotated[bool, typer.Option("--force", help=_FORCE_HELP)] = False,
    as_json: output.AsJson = False,
) -> None:
    """Publish dead letters again to the topic that they came from, keyed by their record's id.

    A letter that would be refused again is left where it is: repair it with --value-file. A retry is published with
    headers that say of what. The letters stay, marked as retried.

    Exit codes: 0 everything asked for was published; 1 some was not; 2 wrong usage or settings; 3 Kafka could not be
    reached.
    """
    with output.told():
        if sum((letter_id is not None, everything, reason is not None)) != 1:
            exits.stop("Give one of: a letter's id, --all, --reason. `saphan dlq list` shows the ids.", exits.USAGE)
        if value_file is not None and letter_id is None:
            exits.stop("--value-file repairs one letter: give its id, too.", exits.USAGE)
        settings = output.settings()
        letters = dead_letters.read_all(settings, with_content=lambda name: letter_id in (None, name))
        if letter_id is not None:
            chosen = [_one(letters, letter_id)]
        else:
            chosen = [row for row in letters if reason in (None, row.reason) and (force or not row.retried_at)]
        outcomes = _retry(settings, chosen, value_file, force=force)
        _tell(outcomes, as_json=as_json)
        if any(not row["published"] for row in outcomes):
            raise typer.Exit(exits.FAILED)


def _retry(
    settings: "Settings", letters: Sequence[DeadLetter], value_file: Path | None, *, force: bool
) -> list[dict[str, Any]]:
    from saphan_cli.retrying import publish_again

    outcomes: list[dict[str, Any]] = []
    ready: list[tuple[DeadLetter, bytes | None, bytes | None]] = []
    for letter in letters:
        value = letter.value if value_file is None else _repaired(letter, value_file)
        key = dead_letters.key_for(letter, value)
        refusal = None if force else dead_letters.still_refused(letter, key, value, settings)
        why = f"it would be refused again: {refusal.reason}: {refusal.detail}" if refusal else None
        if letter.retried_at and not force:
            why = f"it was retried at {output.time_text(letter.retried_at)}; --force does it once more"
        outcomes.append({"id": letter.letter_id, "published": why is None, "why_not": why})
        if why is None:
            ready.append((letter, key, value))
    publish_again(settings, ready)
    return outcomes


def _tell(outcomes: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        output.print_json_array(outcomes)
        return
    for row in outcomes:
        if row["published"]:
            output.print_text(f"{row['id']}: published again")
        else:
            output.note(f"{row['id']}: not published, {row['why_not']}")
    if not outcomes:
        output.note("There is nothing to retry.")


def _repaired(letter: DeadLetter, value_file: Path) -> bytes:
    try:
        return dead_letters.encoded(letter, value_file.read_bytes())
    except OSError as error:
        exits.stop(f"--value-file {value_file}: it cannot be read ({error.strerror}). Check the path.", exits.USAGE)
    except ValueError as error:
        exits.stop(f"--value-file {value_file}: {error}.", exits.USAGE)


def _one(letters: Sequence[DeadLetter], letter_id: str) -> DeadLetter:
    found = next((letter for letter in letters if letter.letter_id == letter_id), None)
    if found is None:
        exits.stop(f"There is no dead letter {letter_id!r}. `saphan dlq list --limit 0` shows all ids.", exits.FAILED)
    return found


def _form(letter: DeadLetter) -> dict[str, Any]:
    return {
        "id": letter.letter_id,
        "stage": letter.stage,
        "reason": letter.reason,
        "detail": letter.detail,
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "message_time": output.time_text(letter.refused_at),
        "key_bytes": letter.key_bytes,
        "value_bytes": letter.value_bytes,
        "retried_at": output.time_text(letter.retried_at),
    }


def _content(letter: DeadLetter) -> dict[str, Any]:
    from saphan_schemas.codec import Codec, UndecodableMessage
    from saphan_schemas.values import from_wire

    codec = Codec()
    value = letter.value
    found: dict[str, Any] = {
        "key": letter.key.decode("utf-8", "backslashreplace") if letter.key is not None else None,
        "value_start_hex": value[:_TOLD_BYTES_MAX].hex() if value is not None else None,
        "record": None,
    }
    try:
        found["record"] = from_wire(codec.catalogue.kinds(letter.topic), codec.decode(letter.topic, value))
    except (UndecodableMessage, KeyError):
        return found
    del found["value_start_hex"]
    return found
