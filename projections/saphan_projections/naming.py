"""How very many tuples become named ones at the cost of a copy: a named tuple's own constructor runs Python code for each."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, TypeVar, cast

Named = TypeVar("Named", bound=NamedTuple)


def named(kind: type[Named]) -> Callable[[tuple[Any, ...]], Named]:
    """Return a function that builds ``kind`` from a tuple of its values.

    It does not check how many there are; meant for ``map(…, zip(…))``.
    """
    return cast(Callable[[tuple[Any, ...]], Named], partial(tuple.__new__, kind))
