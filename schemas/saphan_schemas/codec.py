"""Bytes of a message to a record and back: Confluent's wire format around Avro, read by any schema version."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from saphan_schemas.catalogue import Catalogue, current_catalogue
from saphan_schemas.column_codec import Field, decoded, flat_fields
from saphan_schemas.record_codec import CORRUPT, Record, encoder, record_reader, structure

_MAGIC = 0
#: Before the Avro of each message: a zero byte and the number of its schema.
HEADER_BYTES = 5
#: With fewer messages the steps of decoding by columns, a hundred or two for a feed, cost more than they save.
_COLUMN_MESSAGES_MIN = 128

__all__ = ["HEADER_BYTES", "Codec", "Record", "UndecodableMessage"]


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
        self.catalogue = catalogue or current_catalogue()
        self._encoders: dict[str, tuple[bytes, Callable[[Any], bytes]]] = {}
        self._readers: defaultdict[str, dict[bytes, Callable[[bytes], Record]]] = defaultdict(dict)
        self._fields_of: defaultdict[str, dict[bytes, tuple[Field, ...]]] = defaultdict(dict)

    def encode(self, topic: str, record: Mapping[str, Any]) -> bytes:
        """One record as bytes. Raises ValueError when a field is missing, of another type or out of its range."""
        entry = self._encoders.get(topic)
        if entry is None:
            entry = self._encoders[topic] = (self.header(topic), encoder(self.catalogue.latest(topic)))
        header, write = entry
        try:
            return header + write(record)
        except TypeError as error:
            raise ValueError(f"{topic}: a value has the wrong type") from error

    def header(self, topic: str) -> bytes:
        """What each message begins with that is encoded for a topic. Raises KeyError for a topic without a schema."""
        return bytes([_MAGIC]) + self.catalogue.latest(topic).schema_id.to_bytes(4, "big")

    def decode(self, topic: str, value: bytes | None) -> Record:
        """One message as a record. Raises UndecodableMessage."""
        if value is None:
            raise UndecodableMessage("no_value", "the message has no value; a deletion is a record with deleted=true")
        header = value[:HEADER_BYTES]
        read = self._readers[topic].get(header) or self._reader(topic, header)
        try:
            return read(value[HEADER_BYTES:])
        except CORRUPT as error:
            detail = f"the bytes do not fit the schema: {type(error).__name__}"
            raise UndecodableMessage("corrupt", detail) from error

    def decode_many(self, topic: str, values: Sequence[bytes | None]) -> list[Record | UndecodableMessage]:
        """Each message as a record or as the reason why it is none, in order."""
        readers = self._readers[topic]
        decoded: list[Record | UndecodableMessage] = []
        try:
            # Nearly always one schema wrote them all, and whole.
            (header,) = {value[:HEADER_BYTES] for value in values}  # type: ignore[index]
            decoded.extend(map(readers[header], [value[HEADER_BYTES:] for value in values]))  # type: ignore[index]
        except (KeyError, TypeError, *CORRUPT):
            decoded.clear()
        else:
            return decoded
        for value in values:
            try:
                decoded.append(readers[value[:HEADER_BYTES]](value[HEADER_BYTES:]))  # type: ignore[index]
            except (KeyError, TypeError, *CORRUPT):
                # A schema not met before, no value, or bytes that do not fit: the slow path tells them apart.
                decoded.append(self._decode_or_refuse(topic, value))
        return decoded

    def decode_columns(self, topic: str, values: Sequence[bytes | None]) -> dict[str, list[Any]] | None:
        """The records of these messages as a list of values for each field, or None: then ask :meth:`decode_many`.

        None unless the messages are many, one schema with the newest version's structure wrote them all, and each of
        them is a record.
        """
        if len(values) < _COLUMN_MESSAGES_MIN or None in values:
            return None
        header: bytes = values[0][:HEADER_BYTES]  # type: ignore[index]
        fields = self._fields_of[topic].get(header) or self._flat_fields(topic, header)
        return decoded(fields, header, values) if fields else None  # type: ignore[arg-type]

    def _flat_fields(self, topic: str, header: bytes) -> tuple[Field, ...]:
        """The fields of what was written under a header, if those and nothing else are what is read today."""
        schema_id = schema_id_of(header)
        writer = None if schema_id is None else self.catalogue.find(topic, schema_id)
        if writer is None:
            return ()
        if header not in self._fields_of[topic]:
            written, newest = (structure(version.parsed()) for version in (writer, self.catalogue.latest(topic)))
            self._fields_of[topic][header] = flat_fields(written) if written == newest else ()
        return self._fields_of[topic][header]

    def _decode_or_refuse(self, topic: str, value: bytes | None) -> Record | UndecodableMessage:
        try:
            return self.decode(topic, value)
        except UndecodableMessage as refused:
            return refused

    def _reader(self, topic: str, header: bytes) -> Callable[[bytes], Record]:
        if len(header) < HEADER_BYTES or header[0] != _MAGIC:
            raise UndecodableMessage("not_wire_format", "expected a zero byte and a four-byte schema id at the start")
        schema_id = int.from_bytes(header[1:], "big")
        writer = self.catalogue.find(topic, schema_id)
        if writer is None:
            raise self._unknown(topic, schema_id)
        read = record_reader(self.catalogue.latest(topic), writer)
        self._readers[topic][header] = read
        return read

    def _unknown(self, topic: str, schema_id: int) -> UndecodableMessage:
        other = self.catalogue.topic_of(schema_id)
        if other is None:
            detail = f"schema id {schema_id} is not in the catalogue; after a new version, update and restart"
            return UndecodableMessage("unknown_schema_id", detail)
        return UndecodableMessage("wrong_schema", f"schema id {schema_id} belongs to {other}, the topic is {topic}")


def schema_id_of(value: bytes) -> int | None:
    """The schema id of a message in the wire format, or None for other bytes."""
    if len(value) < HEADER_BYTES or value[0] != _MAGIC:
        return None
    return int.from_bytes(value[1:HEADER_BYTES], "big")
