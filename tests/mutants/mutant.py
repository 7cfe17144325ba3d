"""What a deliberate fault is, and how one fragment of one module's source is replaced while the module is loaded."""

import ast
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import find_spec
from pathlib import Path
from types import CodeType, ModuleType
from typing import NamedTuple


class Mutant(NamedTuple):
    """One fault: ``fragment`` of ``module`` becomes ``replacement``.

    ``fault`` says in words what is wrong then. ``killers`` are pytest node ids below ``tests``: each passes without
    the fault, and one of them must fail with it.
    """

    fault: str
    module: str
    fragment: str
    replacement: str
    killers: tuple[str, ...]


class CodeMoved(LookupError):
    """The fragment is not exactly once in the module any more."""


def source_path(module: str) -> Path:
    """The file of a module of the platform."""
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        message = f"there is no module {module} any more: renew the mutants that name it"
        raise CodeMoved(message)
    return Path(spec.origin)


def faulty_source(mutant: Mutant, source: str) -> str:
    """The module's source with the fault in it. Raises CodeMoved, SyntaxError."""
    count = source.count(mutant.fragment)
    if count != 1:
        message = (
            f"{mutant.module} holds {mutant.fragment!r} {count} times, expected once."
            f" The code moved: renew this mutant ({mutant.fault})"
        )
        raise CodeMoved(message)
    changed = source.replace(mutant.fragment, mutant.replacement)
    ast.parse(changed)
    return changed


class _FaultyLoader(SourceFileLoader):
    """Compiles the changed source in memory, so that no cached byte code is read or written."""

    def __init__(self, mutant: Mutant, path: str) -> None:
        super().__init__(mutant.module, path)
        self._mutant = mutant

    def get_code(self, fullname: str) -> CodeType:  # noqa: ARG002 - as importlib calls it
        source = Path(self.path).read_text(encoding="utf-8")
        return compile(faulty_source(self._mutant, source), self.path, "exec", dont_inherit=True)


class _FaultyFinder(MetaPathFinder):
    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self._mutant.module:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.origin is not None:
            spec.loader = _FaultyLoader(self._mutant, spec.origin)
        return spec


def install(mutant: Mutant) -> None:
    """Load the mutant's module with the fault from now on. Nothing of the platform may have been imported before."""
    early = sorted(name for name in sys.modules if name.startswith("saphan_"))
    if early:
        message = f"imported before the fault was in place: {', '.join(early)}"
        raise RuntimeError(message)
    sys.meta_path.insert(0, _FaultyFinder(mutant))
