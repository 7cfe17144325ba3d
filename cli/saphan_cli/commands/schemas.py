"""What the messages look like, whether the schemas are in order, and how they get into a registry: `schemas`."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from saphan_cli import exits, output

if TYPE_CHECKING:
    from saphan_schemas.registry import Registered, SchemaRegistry
    from saphan_schemas.topics import Topic

_LIST_COLUMNS = ("Topic", "Role", "Key", "Partitions", "Kept", "Owner", "Readers", "Version", "Schema id")
_LIST_TEXT = ("Kept", "Readers")
_FIELD_COLUMNS = ("Field", "Type", "Required", "PII", "Meaning", "ความหมาย")
_FIELD_TEXT = ("Type", "Meaning", "ความหมาย")


def register(app: typer.Typer) -> None:
    """Add the group ``schemas``."""
    group = typer.Typer(no_args_is_help=True, help="The topics and their Avro schemas: list, show, check, lock, push.")
    group.command("list")(list_topics)
    group.command("show")(show)
    group.command("check")(check)
    group.command("lock")(lock)
    group.command("push")(push)
    app.add_typer(group, name="schemas")


def list_topics(*, as_json: output.AsJson = False) -> None:
    """Show every topic: key, partitions, how long it is kept, who owns it and who reads it.

    Exit codes: 0 shown.
    """
    from saphan_schemas.topics import TOPICS

    found = [_topic_form(topic) for topic in TOPICS.values()]
    if as_json:
        output.print_json_array(found)
        return
    rows = [(*list(form.values())[:4], form["kept"], form["owner"], ", ".join(form["readers"])) for form in found]
    versions = [(form["schema_version"], form["schema_id"]) for form in found]
    output.print_table(
        _LIST_COLUMNS, [(*row, *version) for row, version in zip(rows, versions, strict=True)], text=_LIST_TEXT
    )


def _topic_form(topic: "Topic") -> dict[str, Any]:
    from saphan_schemas.catalogue import default_catalogue

    newest = default_catalogue().latest(topic.name)
    return {
        "topic": topic.name,
        "role": topic.role,
        "key": topic.key,
        "partitions": topic.partitions,
        "kept": topic.kept(),
        "owner": topic.owner,
        "readers": list(topic.readers),
        "cleanup": topic.cleanup,
        "retention_ms": topic.retention_ms,
        "description": topic.description,
        "schema_version": newest.version,
        "schema_id": newest.schema_id,
    }


def show(
    topic: Annotated[str, typer.Argument(help="Name of a topic, such as doe.employments.v1.")],
    *,
    as_json: output.AsJson = False,
    avro: Annotated[bool, typer.Option("--avro", help="Print the Avro schema itself.")] = False,
) -> None:
    """Show a topic's fields with their meaning in English and Thai and their class of personal data.

    Exit codes: 0 shown; 2 no such topic.
    """
    from saphan_schemas.catalogue import default_catalogue
    from saphan_schemas.topics import TOPICS

    if topic not in TOPICS:
        exits.stop(f"There is no topic {topic!r}. The topics are: {', '.join(TOPICS)}.", exits.USAGE)
    schema = default_catalogue().latest(topic).parsed()
    if avro:
        output.print_json(schema)
        return
    fields = [_field_form(place, field) for place, field in _fields("", schema)]
    if as_json:
        about = {"doc": schema["doc"], "doc_th": schema["doc_th"], "fields": fields}
        output.print_json(_topic_form(TOPICS[topic]) | about)
        return
    output.print_text(f"{topic}: {schema['doc']}\n{schema['doc_th']}")
    output.print_table(_FIELD_COLUMNS, [list(form.values()) for form in fields], text=_FIELD_TEXT)


def _fields(place: str, schema: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """A record's fields by their dotted place, those of records in its lists after the list."""
    found = []
    for field in schema["fields"]:
        found.append((place + field["name"], field))
        kind = field["type"]
        if isinstance(kind, dict) and isinstance(kind.get("items"), dict):
            found.extend(_fields(f"{place}{field['name']}[].", kind["items"]))
    return found


def _field_form(place: str, field: dict[str, Any]) -> dict[str, Any]:
    from saphan_schemas.values import logical_type

    return {
        "field": place,
        "type": logical_type(field["type"]),
        "required": "default" not in field,
        "pii": field["pii"],
        "doc": field["doc"],
        "doc_th": field["doc_th"],
    }


def check(*, as_json: output.AsJson = False) -> None:
    """Check schemas, lock file, compatibility of all versions and the examples; tell what to do about each finding.

    Exit codes: 0 all in order; 1 something is wrong.
    """
    from saphan_schemas.checking import EXAMPLES, findings
    from saphan_schemas.topics import TOPICS

    found = findings()
    if as_json:
        output.print_json_array(finding._asdict() for finding in found)
    else:
        for finding in found:
            output.print_text(f"{finding.file}: {finding.found}. What to do: {finding.remedy}.")
    if found:
        output.note(f"{len(found)} findings.")
        raise typer.Exit(exits.FAILED)
    examples = "" if EXAMPLES.exists() else " (without the examples, which only a checkout has)"
    output.note(f"The schemas of {len(TOPICS)} topics are in order{examples}.")


def lock() -> None:
    """Give new schema versions their id, and new examples their bytes. What is settled already never changes.

    Exit codes: 0 done; 1 a file cannot be read; 2 not in a checkout.
    """
    from saphan_schemas.checking import EXAMPLES, settle

    if not EXAMPLES.exists():
        exits.stop(
            f"There is no {EXAMPLES}: schemas are changed in a checkout, not in an installed package.", exits.USAGE
        )
    try:
        written = settle()
    except ValueError as error:
        exits.stop(f"Nothing more was written: {error}. Run `saphan schemas check`.", exits.FAILED)
    for name in written:
        output.print_text(name)
    output.note(f"{len(written)} files written. Now run `saphan schemas check` and commit them.")


def push(*, as_json: output.AsJson = False) -> None:
    """Register every version in the registry of SAPHAN_SCHEMA_REGISTRY_URL and keep its ids for writing.

    Each subject (<topic>-value) is set to FULL_TRANSITIVE. Pushing again changes nothing.

    Exit codes: 0 registered; 1 the registry refused; 2 wrong settings; 3 the registry could not be reached.
    """
    from saphan_infra.writable import load_settings_to_write

    with output.told():
        # Not output.settings(): that one wants the ids which this command is about to fetch.
        settings = load_settings_to_write()
        if settings.schema_registry_url is None:
            exits.stop(
                "SAPHAN_SCHEMA_REGISTRY_URL is not set: found no registry to push to. Set it to the registry's "
                "address, such as http://127.0.0.1:8081; without one, the ids of the lock file are used.",
                exits.USAGE,
            )
        from saphan_schemas.registry import RegistryRefused, RegistryUnavailable, SchemaRegistry
        from saphan_schemas.registry_ids import REGISTRY_IDS_FILE, store_ids

        url = settings.schema_registry_url
        try:
            with SchemaRegistry(url) as registry:
                registered = _push(registry)
        except RegistryUnavailable as error:
            exits.stop(str(error), exits.UNREACHABLE)
        except RegistryRefused as error:
            exits.stop(str(error), exits.FAILED)
        path = settings.data_dir / REGISTRY_IDS_FILE
        store_ids(url, path, registered)
        if as_json:
            output.print_json_array(row._asdict() for row in registered)
        else:
            output.print_table(("Topic", "Version", "Schema id"), registered)
        output.note(f"Messages are now written with these ids (kept in {path}); restart running apps.")


def _push(registry: "SchemaRegistry") -> "list[Registered]":
    from saphan_schemas.catalogue import default_catalogue
    from saphan_schemas.registry import push as push_all

    return push_all(registry, default_catalogue())
