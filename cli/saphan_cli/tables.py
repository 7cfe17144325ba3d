"""How rows are laid out for people: whatever the terminal's width, no cell is ever cut."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

#: A column of running text is readable from this width on; a single word may ask for more.
_TEXT_WIDTH_MIN = 20
_WORD_WIDTH_MAX = 40
#: Between two columns of a table, and of a list.
_TABLE_GAP = 3
_LIST_GAP = 2

Lines = Sequence[Sequence[str]]


def print_rows(
    console: Console,
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    title: str | None = None,
    *,
    text: Collection[str] = (),
    spare: Sequence[str] = (),
) -> list[str]:
    """Print rows as a table where the console is wide enough, else each as a list of its cells.

    An id that lost its end is of no use to the next command, so cells stay whole. ``text``: the columns that may go
    over several lines. ``spare``: those that may be left out where it is narrow, the first one first; the names of
    those that were are returned.
    """
    lines = [[shown(value) for value in row] for row in rows]
    for count in range(len(spare) + 1):
        out = spare[:count]
        kept = [place for place, name in enumerate(columns) if name not in out]
        names, cells = [columns[place] for place in kept], [[line[place] for place in kept] for line in lines]
        if _width(names, cells, text) <= console.width:
            console.print(_table(names, cells, title, text))
            return list(out)
    if lines:
        _print_lists(console, columns, lines, title)
    else:
        console.print(_table(columns, lines, title, text=columns))
    return []


def shown(value: Any) -> str:
    """A value as people read it: None as a dash, truth as yes or no."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _width(names: Sequence[str], lines: Lines, text: Collection[str]) -> int:
    """The least width at which no cell is cut."""
    widths = [
        max(_least(cell, may_break=name in text) for cell in (name, *(line[place] for line in lines)))
        for place, name in enumerate(names)
    ]
    # At either edge there is one more.
    return sum(widths) + _TABLE_GAP * (len(widths) - 1) + 2


def _least(cell: str, *, may_break: bool) -> int:
    whole = max((cell_len(line) for line in cell.splitlines()), default=0)
    if not may_break:
        return whole
    word = max((cell_len(word) for word in cell.split()), default=0)
    return min(whole, max(_TEXT_WIDTH_MIN, min(word, _WORD_WIDTH_MAX)))


def _table(names: Sequence[str], lines: Lines, title: str | None, text: Collection[str]) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for place, name in enumerate(names):
        least = max((_least(line[place], may_break=True) for line in lines), default=0)
        broken = name in text
        table.add_column(name, no_wrap=not broken, overflow="fold", min_width=least if broken else None)
    for line in lines:
        # Text, not str: square brackets in data are no markup.
        table.add_row(*(Text(cell) for cell in line))
    return table


def _print_lists(console: Console, columns: Sequence[str], lines: Lines, title: str | None) -> None:
    names = max(cell_len(name) for name in columns)
    if title:
        console.print(Text(title, style="table.title"))
    for line in lines:
        for name, cell in zip(columns, line, strict=True):
            label = name + " " * (names - cell_len(name) + _LIST_GAP)
            # The terminal goes to its next line by itself: what is copied from there has no break in it.
            console.print(Text.assemble((label, "table.header"), cell), soft_wrap=True)
        console.print()
