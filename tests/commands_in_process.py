"""What a test gets to run commands with: a function from arguments to exit code, stdout and stderr."""

import json
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Saphan(Protocol):
    """`saphan` with these arguments."""

    def __call__(self, *arguments: str) -> Ran: ...
