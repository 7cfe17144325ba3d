"""A small schema registry that speaks the Confluent HTTP API over a real socket, with faults to order."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import unquote

from saphan_schemas.compatibility import incompatibilities

CONTENT_TYPE = "application/vnd.schemaregistry.v1+json"


class Registry:
    """The state of a registry: schemas by global id, subjects with their versions, compatibility by subject."""

    def __init__(self) -> None:
        self.schemas: dict[int, str] = {}
        self.subjects: dict[str, list[int]] = {}
        self.levels: dict[str, str] = {}
        self.calls: list[str] = []
        #: Status codes to answer with before anything else, one a call.
        self.faults: list[int] = []
        self.password: str | None = None
        self.read_only = False
        #: What every id stands for, whatever was registered; None: what was registered.
        self.forged_schema: str | None = None
        self.url = ""

    def answer(self, method: str, path: list[str], body: dict[str, Any]) -> tuple[int, Any]:
        match method, path:
            case "GET", ["subjects"]:
                return 200, list(self.subjects)
            case "POST", ["subjects", subject, "versions"]:
                return self._register(subject, body["schema"])
            case "POST", ["subjects", subject]:
                return self._lookup(subject, body["schema"])
            case "GET", ["schemas", "ids", number]:
                return self._schema(int(number))
            case "PUT", ["config", subject]:
                return self._configure(subject, body["compatibility"])
            case _:
                return 404, {"error_code": 404, "message": "HTTP 404 Not Found"}

    def _schema(self, number: int) -> tuple[int, dict[str, Any]]:
        if number in self.schemas:
            return 200, {"schema": self.forged_schema or self.schemas[number]}
        return 404, {"error_code": 40403, "message": f"Schema {number} not found"}

    def _configure(self, subject: str, level: str) -> tuple[int, dict[str, Any]]:
        if subject not in self.subjects:
            return 404, {"error_code": 40401, "message": f"Subject '{subject}' not found."}
        self.levels[subject] = level
        return 200, {"compatibility": level}

    def _register(self, subject: str, schema: str) -> tuple[int, dict[str, Any]]:
        if self.read_only:
            return 422, {"error_code": 42205, "message": f"Subject {subject} is in read-only mode"}
        try:
            parsed = json.loads(schema)
            versions = [json.loads(self.schemas[number]) for number in self.subjects.get(subject, ())]
            if schema not in (self.schemas[number] for number in self.subjects.get(subject, ())) and incompatibilities(
                [*versions, parsed]
            ):
                return 409, {"error_code": 409, "message": "Schema being registered is incompatible"}
        except ValueError as error:
            return 422, {"error_code": 42201, "message": f"Invalid schema: {error}"}
        number = next((number for number, known in self.schemas.items() if known == schema), len(self.schemas) + 1)
        self.schemas[number] = schema
        if number not in self.subjects.setdefault(subject, []):
            self.subjects[subject].append(number)
        return 200, {"id": number}

    def _lookup(self, subject: str, schema: str) -> tuple[int, dict[str, Any]]:
        if subject not in self.subjects:
            return 404, {"error_code": 40401, "message": f"Subject '{subject}' not found."}
        for version, number in enumerate(self.subjects[subject], start=1):
            if self.schemas[number] == schema:
                return 200, {"subject": subject, "id": number, "version": version, "schema": schema}
        return 404, {"error_code": 40403, "message": "Schema not found"}

    def refuses(self, authorization: str | None) -> bool:
        if self.password is None:
            return False
        expected = "Basic " + base64.b64encode(f"pusher:{self.password}".encode()).decode()
        return authorization != expected


@contextmanager
def running(registry: Registry) -> Iterator[Registry]:
    """Serve a registry on a free port of 127.0.0.1 as long as the block lasts; its ``url`` is set."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 65_536  # head and body in one packet, or each call waits for a delayed acknowledgement

        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else {}
            registry.calls.append(f"{self.command} {unquote(self.path)}")
            if registry.faults:
                self._send(registry.faults.pop(0), {"error_code": 50001, "message": "Error in the backend"})
            elif registry.refuses(self.headers.get("Authorization")):
                self._send(401, {"error_code": 401, "message": "Unauthorized"})
            else:
                path = [unquote(part) for part in self.path.strip("/").split("/")]
                self._send(*registry.answer(self.command, path, body))

        do_GET = do_POST = do_PUT = _serve  # noqa: N815 - the server's names

        def _send(self, status: int, answer: Any) -> None:
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", CONTENT_TYPE)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Tests need no access log."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    registry.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield registry
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
