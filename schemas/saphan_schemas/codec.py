"""Bytes of a message to a record and back: Confluent's wire format around Avro, read by any schema version."""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import cavro

from saphan_schemas.catalogue import Catalogue, SchemaVersion, default_catalogue

_MAGIC = 0
_HEADER_BYTES = 5
_STRUCTURE = ("type", "name", "namespace", "fields", "items", "values", "symbols", "size", "default")

Record = dict[str, Any]


class UndecodableMessage(ValueError):
    """A message that is not a record of its topic. ``reason`` is a code, ``detail`` has no personal data."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class Codec:
    """Encodes with the newest schema of a topic and decodes with whatever schema wrote the message.

    Dates are days and times are milliseconds: :mod:`saphan_schemas.values` makes them readable.
    """

    def __init__(self, catalogue: Catalogue | None = None) -> None:
        self.catalogue = catalogue or default_catalogue()
        self._encoders: dict[str, tuple[bytes, Callable[[Any], bytes]]] = {}
        self._decoders: dict[tuple[str, bytes], Callable[[Any], Record]] = {}

    def encode(self, topic: str, record: Mapping[str, Any]) -> bytes:
        """One record as bytes. Raises ValueError when a field is missing or of another type."""
        entry = self._encoders.get(topic)
        if entry is None:
            entry = self._encoders[topic] = self._encoder(topic)
        header, write = entry
        return header + write(record)

    def decode(self, topic: str, value: bytes | None) -> Record:
        """One message as a record. Raises UndecodableMessage."""
        if value is None:
            raise UndecodableMessage("no_value", "the message has no value; a deletion is a record with deleted=true")
        read = self._decoders.get((topic, value[:_HEADER_BYTES]))
        if read is None:
            read = self._decoder(topic, value[:_HEADER_BYTES])
        try:
            return read(value[_HEADER_BYTES:])
        except Exception as error:
            detail = f"the bytes do not fit the schema: {type(error).__name__}"
            raise UndecodableMessage("corrupt", detail) from error

    def decode_many(self, topic: str, values: Iterable[bytes | None]) -> list[Record | UndecodableMessage]:
        """Each message as a record or as the reason why it is none, in order."""
        decoded: list[Record | UndecodableMessage] = []
        decoders = self._decoders
        for value in values:
            try:
                read = decoders[topic, value[:_HEADER_BYTES]]  # type: ignore[index]
                decoded.append(read(value[_HEADER_BYTES:]))  # type: ignore[index]
            except Exception:
                # The slow path decides what is wrong; a good message of a schema not met before also comes here.
                try:
                    decoded.append(self.decode(topic, value))
                except UndecodableMessage as refused:
                    decoded.append(refused)
        return decoded

    def _encoder(self, topic: str) -> tuple[bytes, Callable[[Any], bytes]]:
        newest = self.catalogue.latest(topic)
        return bytes([_MAGIC]) + newest.schema_id.to_bytes(4, "big"), _schema(newest).binary_encode

    def _decoder(self, topic: str, header: bytes) -> Callable[[Any], Record]:
        if len(header) < _HEADER_BYTES or header[0] != _MAGIC:
            raise UndecodableMessage("not_wire_format", "expected a zero byte and a four-byte schema id at the start")
        schema_id = int.from_bytes(header[1:], "big")
        writer = self.catalogue.by_id.get(schema_id)
        if writer is None:
            raise UndecodableMessage("unknown_schema_id", f"schema id {schema_id} is not in the catalogue")
        if writer.topic != topic:
            raise UndecodableMessage("wrong_schema", f"schema id {schema_id} is {writer.subject}, topic is {topic}")
        reader = _schema(self.catalogue.latest(topic))
        source = reader if writer == self.catalogue.latest(topic) else reader.reader_for_writer(_schema(writer))
        read: Callable[[Any], Record] = source.binary_decode
        self._decoders[topic, header] = read
        return read


def _schema(version: SchemaVersion) -> Any:
    # cavro would turn logical types into date objects and pay for it on every message.
    return cavro.Schema(json.dumps(structure(version.parsed())), record_decodes_to_dict=True)


def structure(schema: Any) -> Any:
    """A schema without documentation and logical types: what decides the bytes."""
    if isinstance(schema, dict):
        return {key: structure(value) for key, value in schema.items() if key in _STRUCTURE}
    if isinstance(schema, list):
        return [structure(item) for item in schema]
    return schema
