"""What people and employers are called, and how a registry spells a name."""

import tomllib
from collections.abc import Callable
from importlib.resources import files
from typing import Any

Part = tuple[str, str, str]
#: A name as its parts; each part has two spellings and its Thai form.
Name = tuple[Part, ...]


class Names:
    """Names by nationality. ``respelt_share`` is the chance of the second spelling, for each part of a name."""

    def __init__(self, respelt_share: float) -> None:
        tables = tomllib.loads(files("saphan_simulation").joinpath("names.toml").read_text("utf-8"))
        self._employers: dict[str, Any] = tables.pop("employers")
        self._respelt_share = respelt_share
        self._titles: dict[tuple[str, str], tuple[Part, ...]] = {}
        self._parts: dict[str, tuple[tuple[Part, ...], int, int]] = {}
        for nationality, table in tables.items():
            self._titles[nationality, "M"] = _parts(table["titles_male"])
            self._titles[nationality, "F"] = _parts(table["titles_female"])
            self._parts[nationality] = (_parts(table["parts"]), table["parts_min"], table["parts_max"])

    def choose(self, nationality: str, sex: str, random: Callable[[], float]) -> Name:
        """A name for a person."""
        titles = self._titles[nationality, sex]
        parts, fewest, most = self._parts[nationality]
        title = titles[int(random() * len(titles))]
        count = fewest + int(random() * (most - fewest + 1))
        chosen = tuple([parts[int(random() * len(parts))] for _ in range(count)])
        return (title, *chosen) if title[0] else chosen

    def spell(self, name: Name, random: Callable[[], float]) -> str:
        """The name as one registry happens to write it."""
        share = self._respelt_share
        return " ".join([part[random() < share] for part in name])

    def employer(self, number: int, sector: str, *, natural: bool, again: bool) -> str:
        """An employer's name; ``again``: as the other registry writes it."""
        table = self._employers
        if natural:
            first, last = table["natural_first"], table["natural_last"]
            title = "นาง" if again and number % 7 == 0 else "นาย"
            return f"{title}{first[number % len(first)]} {last[number // len(first) % len(last)]}"
        first = table["juristic_first"]
        core = f"{first[number % len(first)]}{table['juristic_word'][sector]} {number // len(first) % 97 + 1}"
        return f"บจก. {core}" if again and number % 3 else f"บริษัท {core} จำกัด"


def thai(name: Name) -> str:
    """The name in Thai script."""
    return " ".join([part[2] for part in name])


def _parts(rows: list[list[str]]) -> tuple[Part, ...]:
    return tuple((row[0], row[1], row[2]) for row in rows)
