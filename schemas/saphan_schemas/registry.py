"""How the schemas get into a Confluent-compatible registry, and with which ids messages are then written."""

import json
import time
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx

from saphan_schemas.catalogue import Catalogue, SchemaVersion
from saphan_schemas.compatibility import LEVEL
from saphan_schemas.lock import fingerprint

_CONTENT_TYPE = "application/vnd.schemaregistry.v1+json"
_TRIES = 5
_FIRST_PAUSE_SECONDS = 0.2
_TIMEOUT_SECONDS = 10.0
_NOT_FOUND_CODES = frozenset((404, 40401, 40402, 40403))
_SCHEMA_ID_MAX = 2**32 - 1
_REMEDIES = {
    401: "put user and password into SAPHAN_SCHEMA_REGISTRY_URL (https://user:password@host)",
    403: "this user may not do that: ask the registry's operator for the right to write",
    409: "the registry holds another history of this subject: compare it with `saphan schemas show`",
    422: "the registry does not take this schema or setting: see its own words",
}


class RegistryUnavailable(ConnectionError):
    """The registry did not answer, or not with sense. The text says which address and what to do."""


class RegistryRefused(ValueError):
    """The registry answered with an error. ``code`` is its ``error_code``, or the HTTP status."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class Registered(NamedTuple):
    """A schema version with the id that the registry gave it."""

    topic: str
    version: int
    schema_id: int


class SchemaRegistry:
    """The calls of the registry's HTTP API that are needed. Use it as a context manager.

    User and password may stand in the URL; neither ever appears in a text or a file. ``tries``: how often it is asked
    before it counts as away.
    """

    def __init__(
        self,
        url: str,
        transport: httpx.BaseTransport | None = None,
        pause: Callable[[float], None] = time.sleep,
        tries: int = _TRIES,
    ) -> None:
        parsed = httpx.URL(url)
        self.address = address_of(url)
        self._client = httpx.Client(
            base_url=parsed.copy_with(userinfo=b""),
            auth=(parsed.username, parsed.password) if parsed.username else None,
            headers={"Content-Type": _CONTENT_TYPE, "Accept": f"{_CONTENT_TYPE}, application/json"},
            timeout=_TIMEOUT_SECONDS,
            transport=transport,
        )
        self._pause = pause
        self._tries = tries

    def __enter__(self) -> "SchemaRegistry":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def register(self, subject: str, source: str) -> int:
        """The id of this schema in this subject; registering it again gives the same id."""
        return self._id(self._call("POST", f"/subjects/{_quoted(subject)}/versions", {"schema": source}))

    def lookup(self, subject: str, source: str) -> int | None:
        """The id that the subject already has for this schema, or None."""
        try:
            return self._id(self._call("POST", f"/subjects/{_quoted(subject)}", {"schema": source}))
        except RegistryRefused as refused:
            if refused.code in _NOT_FOUND_CODES:
                return None
            raise

    def schema(self, schema_id: int) -> str:
        """The source of a schema by its id."""
        found = self._call("GET", f"/schemas/ids/{schema_id}").get("schema")
        if not isinstance(found, str):
            raise RegistryUnavailable(self._nonsense("no schema in the answer"))
        return found

    def subjects(self) -> list[str]:
        """The names of all subjects."""
        found = self._asked("GET", "/subjects")
        if not isinstance(found, list):
            raise RegistryUnavailable(self._nonsense("no list of subjects in the answer"))
        return [str(name) for name in found]

    def set_compatibility(self, subject: str, level: str) -> None:
        """Let the registry refuse versions of this subject that are not compatible."""
        self._call("PUT", f"/config/{_quoted(subject)}", {"compatibility": level})

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        answer = self._asked(method, path, body)
        if not isinstance(answer, dict):
            raise RegistryUnavailable(self._nonsense("no JSON object in the answer"))
        return answer

    def _asked(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        response = self._answer(method, path, body)
        try:
            answer = response.json()
        except ValueError as error:
            raise RegistryUnavailable(self._nonsense(f"HTTP {response.status_code} without JSON")) from error
        if response.is_success:
            return answer
        if not isinstance(answer, dict):
            raise RegistryUnavailable(self._nonsense(f"HTTP {response.status_code} without a JSON object"))
        code = answer.get("error_code", response.status_code)
        remedy = _REMEDIES.get(response.status_code, "see the registry's log")
        words = f"Registry {self.address}: {method} {path} gave {code}: {answer.get('message', 'no message')}"
        raise RegistryRefused(code, f"{words}. What to do: {remedy}.")

    def _answer(self, method: str, path: str, body: dict[str, Any] | None) -> httpx.Response:
        """The first answer that is worth reading; a registry that restarts is waited for."""
        trouble = ""
        for attempt in range(self._tries):
            if attempt:
                self._pause(_FIRST_PAUSE_SECONDS * 2 ** (attempt - 1))
            try:
                response = self._client.request(method, path, content=json.dumps(body) if body else None)
            except httpx.RequestError as error:
                trouble = f"{type(error).__name__}: {error}"
                continue
            if response.status_code < 500 and response.status_code != 429:
                return response
            trouble = f"HTTP {response.status_code}"
        raise RegistryUnavailable(
            f"Schema registry {self.address} did not answer ({trouble}; tries: {self._tries}). "
            "Check SAPHAN_SCHEMA_REGISTRY_URL and that the registry runs; without the setting, the ids of the "
            "lock file are used."
        )

    def _id(self, answer: dict[str, Any]) -> int:
        schema_id = answer.get("id")
        if isinstance(schema_id, bool) or not isinstance(schema_id, int) or not 0 <= schema_id <= _SCHEMA_ID_MAX:
            raise RegistryUnavailable(self._nonsense("no id in the answer"))
        return schema_id

    def _nonsense(self, found: str) -> str:
        return (
            f"{self.address} does not answer like a Confluent-compatible schema registry: {found}. "
            "Check SAPHAN_SCHEMA_REGISTRY_URL, also its path."
        )


def push(registry: SchemaRegistry, catalogue: Catalogue) -> list[Registered]:
    """Register every version of every topic, set each subject's compatibility, and read each schema back.

    Raises RegistryUnavailable or RegistryRefused; what was registered until then stays, and pushing again goes on.
    """
    registered = []
    for versions in catalogue.by_topic.values():
        for row in versions:
            schema_id = registry.register(row.subject, row.source)
            _confirm(registry, row, schema_id)
            registered.append(Registered(row.topic, row.version, schema_id))
            if row is versions[0]:
                # Some registries know a subject's settings only once it has a version.
                registry.set_compatibility(row.subject, LEVEL)
    return registered


def _confirm(registry: SchemaRegistry, row: SchemaVersion, schema_id: int) -> None:
    try:
        found = json.loads(registry.schema(schema_id))
        same = isinstance(found, dict) and fingerprint(found) == fingerprint(row.parsed())
    except ValueError as error:
        if isinstance(error, RegistryRefused):
            raise
        same = False
    if not same:
        raise RegistryRefused(
            0,
            f"Registry {registry.address}: id {schema_id} is not {row.subject} version {row.version} but another "
            "schema. What to do: use a registry that keeps schemas as they are.",
        )


def address_of(url: str) -> str:
    """The registry's URL without user and password, for texts and files."""
    return str(httpx.URL(url).copy_with(userinfo=b"")).rstrip("/")


def _quoted(subject: str) -> str:
    return quote(subject, safe="")
