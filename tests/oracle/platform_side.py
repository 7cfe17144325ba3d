"""What the platform says, in the oracle's form: settled anew, as rows of its tables, and as it told its receivers."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgpack
from oracle.oracle_outcome import Fields, Outcome

from saphan_projections.canonical import forms
from saphan_projections.database import Transaction
from saphan_projections.law import default_law
from saphan_projections.worker import KEPT
from saphan_schemas.catalogue import default_catalogue
from saphan_schemas.topics import CONTRIBUTIONS, EMPLOYMENTS, INSURED_PERSONS
from saphan_schemas.values import days_to_date, from_wire

_VIEW = ("nationality", "sex", "birth_year", "employed", "enrolled", "eligible")
_JOB = ("employer_id", "workplace_district", "sector", "start_date", "end_date")
_COVER = ("section", "sso_account", "sso_branch", "start_date", "end_date")
_CONTRIBUTION = ("month", "sso_account", "sso_branch", "wage_satang", "amount_satang", "paid_on")
_COLUMNS = (
    "alert_id", "kind", "employment_record_id", "worker_id", "employer_id", "state", "reason", "hold", "due_day",
    "since_day", "rule_version", "evidence",
)  # fmt: skip
_TOLD = (
    "nationality",
    "sex",
    "birth_year",
    "employers",
    "employed",
    "enrolled",
    "permit_valid_until",
    "health_cover_until",
)


class PlatformSays(NamedTuple):
    """One committed state, seen twice: alerts decided anew from the workers, and as the rows of the table."""

    settled: Outcome
    stored: Outcome


def committed(transaction: Transaction, as_of_ms: int | None = None) -> PlatformSays:
    """What the tables of integrate hold; ``as_of_ms`` counts for what is settled anew only."""
    says = PlatformSays(Outcome({}, {}), Outcome({}, {}))
    names: dict[str, str] = {}
    alerts: list[Mapping[str, Any]] = []
    for kind, _, form in forms(transaction, default_law(), as_of_ms):
        if kind == "alert":
            alerts.append(form)
            continue
        fields = _worker(form)
        name = names[form["worker_id"]] = _first_name(fields)
        says.settled.workers[name] = fields
    for alert in alerts:
        fields = {"hold_as_of": alert["hold_as_of"], **_alert(alert, names)}
        says.settled.alerts[alert["employment_record_id"]] = fields
    for values in transaction.rows(f"SELECT {', '.join(_COLUMNS)} FROM alert WHERE reason <> 'employment_deleted'"):  # noqa: S608 - constants
        form = dict(zip(_COLUMNS, values, strict=True))
        form["evidence"] = [row[:4] for row in msgpack.unpackb(form["evidence"])]
        says.stored.alerts[form["employment_record_id"]] = _alert(form, names)
    return says


def told(workers: Iterable[Mapping[str, Any]], alerts: Iterable[Mapping[str, Any]]) -> Outcome:
    """What is left of the messages in plain JSON form when each receiver keeps the newest of each worker and alert."""
    newest: dict[int, Mapping[str, Any]] = {}
    for message in workers:
        known = newest.get(message["worker_no"])
        if known is None or known["sequence"] <= message["sequence"]:
            newest[message["worker_no"]] = message
    outcome = Outcome({}, {})
    for message in newest.values():
        if message["records"]:
            fields: Fields = {name: message[name] for name in _TOLD}
            fields["employers"] = list(fields["employers"])
            fields["records"] = {f"{row['feed']}/{row['record_id']}": row["version"] for row in message["records"]}
            outcome.workers[_first_name(fields)] = fields
    last: dict[str, Mapping[str, Any]] = {}
    for message in alerts:
        if message["alert_id"] not in last or last[message["alert_id"]]["version"] < message["version"]:
            last[message["alert_id"]] = message
    for message in last.values():
        if message["reason"] != "employment_deleted":
            outcome.alerts[message["employment_record_id"]] = {
                name: message[name] for name in ("alert_id", "kind", "state", "reason", "hold", "due_on", "state_since")
            }
    return outcome


def as_told(oracle: Outcome) -> Outcome:
    """The oracle's outcome with records as messages name them: by version alone."""
    workers = {
        name: {**fields, "records": {record: kept["version"] for record, kept in fields["records"].items()}}
        for name, fields in oracle.workers.items()
        if fields["records"]
    }
    for fields in workers.values():
        del fields["contributions"]
    return Outcome(workers, oracle.alerts)


def _worker(form: Mapping[str, Any]) -> Fields:
    contributions = {
        f"{CONTRIBUTIONS}/{record_id}": {
            "version": version, "content_hash": content_hash, **_plain(CONTRIBUTIONS, _CONTRIBUTION, values)
        }
        for record_id, version, content_hash, *values in form["contributions"]
    }  # fmt: skip
    if not form["members"]:
        return {"records": {}, "contributions": contributions}
    return {
        "records": {
            f"{feed}/{record_id}": {
                "version": version, "changed_at": changed_at, "content_hash": content_hash,
                **_plain(feed, KEPT[feed], values),
            }
            for feed, record_id, version, changed_at, content_hash, values in form["members"]
        },
        "contributions": contributions,
        "employments": {f"{EMPLOYMENTS}/{row[0]}": _plain(EMPLOYMENTS, _JOB, row[1:]) for row in form["employments"]},
        "enrolments": {
            f"{INSURED_PERSONS}/{row[0]}": _plain(INSURED_PERSONS, _COVER, row[1:]) for row in form["enrolments"]
        },
        **dict(zip(_VIEW, form["view"], strict=True)),
    }  # fmt: skip


def _plain(feed: str, names: Iterable[str], values: Iterable[Any]) -> Fields:
    return from_wire(default_catalogue().kinds(feed), dict(zip(names, values, strict=True)))


def _alert(form: Mapping[str, Any], names: Mapping[str, str]) -> Fields:
    return {
        "worker": names.get(form["worker_id"], form["worker_id"]),
        "employer": form["employer_id"],
        "due_on": days_to_date(form["due_day"]).isoformat(),
        "state_since": days_to_date(form["since_day"]).isoformat(),
        "evidence": {f"{role} {feed}/{record_id}": version for role, feed, record_id, version in form["evidence"]},
        **{name: form[name] for name in ("alert_id", "kind", "state", "reason", "hold", "rule_version")},
    }


def _first_name(fields: Fields) -> str:
    names: Iterable[str] = fields["records"] or fields["contributions"]
    return min((name.split("/", 1), name) for name in names)[1]
