"""What the README's tables of commands, settings and metrics must say: read from the code.

``python tests/repository/readme_tables.py`` writes them into README.md.
"""

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import typer.main
from prometheus_client.metrics import MetricWrapperBase
from pydantic import SecretStr

README = Path(__file__).parents[2] / "README.md"


def commands() -> Iterator[tuple[str, Any]]:
    """(words after `saphan`, command) of every command that can be run, in the order of `saphan --help`."""
    from saphan_cli.main import app

    yield from _below((), typer.main.get_command(app))


def _below(words: tuple[str, ...], command: Any) -> Iterator[tuple[str, Any]]:
    # typer may bring a click of its own: what it has counts, not what it is.
    if not hasattr(command, "commands"):
        yield " ".join(words), command
        return
    for name, child in command.commands.items():
        yield from _below((*words, name), child)


def metrics() -> list[MetricWrapperBase]:
    """Every metric of the platform, by name."""
    import saphan_consumers.watching  # noqa: F401 - registers the consumers' own
    import saphan_infra.waiting_metrics  # noqa: F401 - registers its own
    from saphan_infra.metrics import REGISTRY

    found = {c for c in REGISTRY._names_to_collectors.values() if isinstance(c, MetricWrapperBase)}
    return sorted(found, key=lambda metric: metric._name)


def commands_table() -> str:
    """Every command with the first sentence of its help."""
    return _table(
        ("Command", "What it does"), [(f"`saphan {words}`", _sentence(command)) for words, command in commands()]
    )


def settings_table() -> str:
    """Every setting with its variable, default and meaning."""
    from saphan_infra.settings import ENV_PREFIX, Settings

    rows = [
        (f"`{ENV_PREFIX}{name.upper()}`", _default(field), _meaning(field))
        for name, field in Settings.model_fields.items()
    ]
    return _table(("Variable", "Default", "Meaning"), rows)


def metrics_table() -> str:
    """Every metric with its labels and help text."""
    rows = [
        (f"`{_shown_name(metric)}`", ", ".join(metric._labelnames) or "–", metric._documentation)
        for metric in metrics()
    ]
    return _table(("Metric", "Labels", "Meaning"), rows)


#: The tables by the mark that stands around each of them in the README.
TABLES = {"commands": commands_table, "settings": settings_table, "metrics": metrics_table}


def block(readme: str, name: str) -> str:
    """What stands between the marks of a table. Raises ValueError when there are none."""
    found = re.search(f"{_mark(name)}\n(.*?){_mark('/' + name)}", readme, re.DOTALL)
    if found is None:
        message = f"README.md has no {_mark(name)} … {_mark('/' + name)}"
        raise ValueError(message)
    return found[1]


def with_tables(readme: str) -> str:
    """The README with every table as the code says."""
    for name, table in TABLES.items():
        before = f"{_mark(name)}\n{block(readme, name)}{_mark('/' + name)}"
        readme = readme.replace(before, f"{_mark(name)}\n{table()}{_mark('/' + name)}")
    return readme


def _mark(name: str) -> str:
    return f"<!-- {name} -->"


def _table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [heads, tuple("---" for _ in heads), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def _sentence(command: Any) -> str:
    paragraph = " ".join((command.help or "").split("\n\n")[0].split())
    return re.split(r"(?<=\.)\s", paragraph)[0]


def _default(field: Any) -> str:
    value = field.get_default()
    if value is None:
        return "–"
    if isinstance(value, SecretStr):
        return "a development key"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _meaning(field: Any) -> str:
    """The description, with the words to choose from where there are only some."""
    choices = [
        choice
        for part in (field.annotation, *get_args(field.annotation))
        if get_origin(part) is Literal
        for choice in get_args(part)
    ]
    said = str(field.description)
    return f"{said} One of {', '.join(f'`{choice}`' for choice in choices)}." if choices else said


def _shown_name(metric: MetricWrapperBase) -> str:
    return f"{metric._name}_total" if metric._type == "counter" else str(metric._name)


if __name__ == "__main__":
    before = README.read_text(encoding="utf-8")
    after = with_tables(before)
    README.write_text(after, encoding="utf-8")
    sys.stderr.write("README.md: the tables are new.\n" if after != before else "README.md: nothing changed.\n")
