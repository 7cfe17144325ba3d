"""How many tuples become named ones at the cost of a copy: a named tuple's own constructors run Python for each of them."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, TypeVar, cast

Named = TypeVar("Named", bound=NamedTuple)


def named(kind: type[Named]) -> Callable[[tuple[Any, ...]], Named]:
    """Makes one of this kind of its values in order, which it does not count: for ``map`` over ``zip``."""
    return cast(Callable[[tuple[Any, ...]], Named], partial(tuple.__new__, kind))
