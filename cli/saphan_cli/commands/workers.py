"""What is known of a worker, and which record said it: `workers show` and `workers list`."""

from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from saphan_cli import exits, output
from saphan_cli.commands.alerts import alert_form, history_form

if TYPE_CHECKING:
    from saphan_infra.settings import Settings
    from saphan_projections.database import Transaction
    from saphan_projections.worker import Member
    from saphan_projections.worker_queries import WorkerShown

_PERSONAL_HELP = "Also show names, numbers and birth dates, as the agencies sent them. Have a reason."


#: Where the terminal is narrow: --json tells them.
_SPARE = ("Sector", "Workplace district", "Sso branch")


def register(app: typer.Typer) -> None:
    """Add the group ``workers``."""
    group = typer.Typer(no_args_is_help=True, help="Integrated workers: list, show one.")
    group.command("list")(list_workers)
    group.command("show")(show)
    app.add_typer(group, name="workers")


def list_workers(
    *,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, in order of arrival.")] = 50,
    as_json: output.AsJson = False,
) -> None:
    """List workers, without names and numbers.

    Exit codes: 0 listed; 2 wrong usage or settings; 3 the database could not be reached.
    """
    from saphan_projections.worker_queries import WorkerLine, workers

    with output.told():
        with output.opened(output.settings().state_url) as database, database.reading() as transaction:
            found = workers(transaction, limit)
        if as_json:
            output.print_json_array(row._asdict() for row in found)
            return
        columns = [name.replace("_", " ").capitalize() for name in WorkerLine._fields]
        output.print_table(columns, found, spare=("Sex", "Records", "Birth year"))
        if len(found) == limit:
            output.note(f"The first {limit} are shown; --limit shows more, `saphan status` counts them.")


def show(
    worker: Annotated[str, typer.Argument(help="A worker's id (W-…), a record's id, or FEED/RECORD_ID.")],
    *,
    personal_data: Annotated[bool, typer.Option("--personal-data", help=_PERSONAL_HELP)] = False,
    as_json: output.AsJson = False,
) -> None:
    """Show one worker: the integrated view, the record behind each attribute, employments, enrolments, contributions
    and alerts with their history.

    Exit codes: 0 shown; 1 nobody has this id; 2 wrong usage or settings; 3 the database could not be reached.
    """
    with output.told():
        form = _form(output.settings(), worker, personal_data=personal_data)
        if as_json:
            output.print_json(form)
        else:
            _print(form)


def _form(settings: "Settings", text: str, *, personal_data: bool) -> dict[str, Any]:
    from saphan_infra.clock import now_ms
    from saphan_projections.queries import alert_history, alerts_of_employments
    from saphan_projections.worker_queries import worker_shown
    from saphan_schemas.topics import EMPLOYMENTS

    with output.opened(settings.state_url) as database, database.reading() as transaction:
        number = _number(settings, transaction, text)
        shown = worker_shown(transaction, number)
        if shown is None:
            exits.stop(
                f"{text!r} is known to link, integrate has not read it yet. Try again in a moment; `saphan status` "
                "shows whether integrate runs.",
                exits.FAILED,
            )
        jobs = [member.record_id for member in shown.members if member.feed == EMPLOYMENTS]
        alerts = [
            {**alert_form(alert), "history": [history_form(row) for row in alert_history(transaction, alert.alert_id)]}
            for alert in alerts_of_employments(transaction, jobs, now_ms())
        ]
    form = _worker_form(shown)
    form["alerts"] = alerts
    form["personal_data"] = _personal_data(settings, number) if personal_data else None
    return form


def _number(settings: "Settings", transaction: "Transaction", text: str) -> int:
    from saphan_projections.worker_queries import record_owners, worker_number_by_id

    number = worker_number_by_id(transaction, text)
    if number is not None:
        return number
    with output.opened(settings.link_url) as database, database.reading() as link:
        owners = record_owners(link, text)
    numbers = {owner.worker_no for owner in owners if owner.worker_no is not None}
    if not numbers:
        _stop_unknown(text, deleted=[f"{owner.feed}/{owner.record_id}" for owner in owners if owner.deleted])
    if len(numbers) > 1:
        names = ", ".join(f"{owner.feed}/{owner.record_id}" for owner in owners)
        exits.stop(f"{text!r} is a record of more than one worker: {names}. Say which of these.", exits.USAGE)
    return numbers.pop()


def _stop_unknown(text: str, deleted: list[str]) -> NoReturn:
    if deleted:
        exits.stop(f"The agency deleted {', '.join(deleted)}; it belongs to no worker any more.", exits.FAILED)
    exits.stop(
        f"Nobody has the id {text!r}, and no record about a worker has it. Expected a worker's id (W-…), a record's id "
        "or FEED/RECORD_ID; `saphan workers list` shows workers.",
        exits.FAILED,
    )


def _worker_form(shown: "WorkerShown") -> dict[str, Any]:
    from saphan_projections.worker import KEPT
    from saphan_schemas.topics import EMPLOYMENTS, INSURED_PERSONS

    def rows_of(feed: str) -> list[dict[str, Any]]:
        return [
            {**_reference(member), **_plain(feed, dict(zip(KEPT[feed], member.kept, strict=True)))}
            for member in shown.members
            if member.feed == feed
        ]

    seen = shown.view
    view: dict[str, Any] | None = None
    if seen is not None:
        view = {
            **seen._asdict(),
            "permit_valid_until": output.day_text(seen.permit_valid_until),
            "health_cover_until": output.day_text(seen.health_cover_until),
        }
    return {
        "worker_id": shown.worker_id,
        "view": view,
        "sources": {
            name if name != "birth_date" else "birth_year": _reference(member) for name, member in shown.sources.items()
        },
        "records": [{**_reference(member), "changed_at": output.time_text(member.changed_at)} for member in shown.members],
        "employments": [_without_person(row) for row in rows_of(EMPLOYMENTS)],
        "enrolments": [_without_person(row) for row in rows_of(INSURED_PERSONS)],
        "contributions": [
            {**row._asdict(), "paid_day": output.day_text(row.paid_day)} for row in shown.contributions
        ],
    }  # fmt: skip


def _without_person(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key not in {"nationality", "sex", "birth_date"}}


def _reference(member: "Member") -> dict[str, Any]:
    return {
        "feed": member.feed,
        "record_id": member.record_id,
        "version": member.version,
        "partition": member.partition,
        "offset": member.offset,
    }


def _plain(feed: str, record: dict[str, Any]) -> dict[str, Any]:
    from saphan_schemas.catalogue import default_catalogue
    from saphan_schemas.values import from_wire

    return from_wire(default_catalogue().kinds(feed), record)


def _personal_data(settings: "Settings", number: int) -> list[dict[str, Any]]:
    """Each record's fields that are a person's, as the agency sent them."""
    from saphan_projections.worker_queries import personal_records
    from saphan_schemas.codec import Codec
    from saphan_schemas.pii import PERSONAL_CLASSES

    codec = Codec()
    with output.opened(settings.link_url) as database, database.reading() as transaction:
        records = personal_records(transaction, codec, number)
    found = []
    for feed, record in records:
        fields = codec.catalogue.latest(feed).parsed()["fields"]
        personal = {row["name"] for row in fields if row["pii"] in PERSONAL_CLASSES}
        plain = _plain(feed, {name: value for name, value in record.items() if name in personal and value is not None})
        found.append({"feed": feed, "record_id": record["record_id"], **plain})
    return found


# -- for people ----------------------------------------------------------------------------------------------------


def _print(form: dict[str, Any]) -> None:
    sources = form["sources"]
    view = form["view"] or {}
    title = form["worker_id"] or "Contributions of a person whom no other record names yet"
    lines = [(name.replace("_", " "), _joined(value), _named(sources.get(name))) for name, value in view.items()]
    output.print_table((title, "", "Said by"), lines, text=("",))
    _print_rows(
        "Employments", form["employments"], ("employer_id", "start_date", "end_date", "sector", "workplace_district")
    )
    _print_rows("Enrolments", form["enrolments"], ("section", "sso_account", "sso_branch", "start_date", "end_date"))
    months = [(row["month"], row["account"], row["branch"], _baht(row["amount_satang"]), row["paid_day"], row["record_id"]) for row in form["contributions"]]  # fmt: skip
    output.print_table(("Month", "Account", "Branch", "Amount (baht)", "Paid on", "Record"), months, "Contributions")
    told = [
        (alert["alert_id"], entry["state"], entry["state_since"], alert["due_on"], entry["reason"], entry["told_because_of"])
        for alert in form["alerts"]
        for entry in alert["history"]
    ]  # fmt: skip
    columns = ("Alert", "State", "Since", "Due on", "Reason", "Told because of a change at")
    output.print_table(columns, told, "Alerts", spare=(columns[-1], "Reason"))
    _print_personal_data(form["personal_data"])


def _print_rows(title: str, rows: list[dict[str, Any]], names: tuple[str, ...]) -> None:
    columns = [*(name.replace("_", " ").capitalize() for name in names), "Record"]
    output.print_table(columns, [(*(row[name] for name in names), _named(row)) for row in rows], title, spare=_SPARE)


def _print_personal_data(records: list[dict[str, Any]] | None) -> None:
    if records is None:
        output.note("Names, numbers and birth dates are not shown; --personal-data shows them.")
        return
    rows = [
        (f"{record['feed']}/{record['record_id']}", name.replace("_", " "), value)
        for record in records
        for name, value in record.items()
        if name not in {"feed", "record_id"}
    ]
    output.print_table(("Record", "Field", "Value"), rows, "Personal data", text=("Value",))


def _named(reference: dict[str, Any] | None) -> str | None:
    return f"{reference['feed']}/{reference['record_id']} version {reference['version']}" if reference else None


def _joined(value: Any) -> Any:
    return ", ".join(value) or None if isinstance(value, (list, tuple)) else value


def _baht(satang: int | None) -> str | None:
    return f"{satang // 100}.{satang % 100:02d}" if satang is not None else None
