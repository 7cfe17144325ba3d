"""Random records of any Avro schema, and what the ``avro`` package makes of bytes: the reference for the codec's tests."""

import io
import json
from collections.abc import Callable
from typing import Any

import avro.io
import avro.schema
from hypothesis import strategies as st

Structure = Any

_TEXTS = st.one_of(
    st.sampled_from(("", "MMR", "สะพาน", "ကမ္ဘာ", "0012345678901", "N/A", "ไม่มี", "\x00", "👷", "x" * 70)),
    st.text(st.characters(codec="utf-8"), max_size=12),
)
_PRIMITIVES: dict[str, st.SearchStrategy[Any]] = {
    "null": st.none(),
    "boolean": st.booleans(),
    "int": st.one_of(st.sampled_from((0, -1, 63, 64, -64, -65, 2**31 - 1, -(2**31))), st.integers(-(2**31), 2**31 - 1)),
    "long": st.one_of(st.sampled_from((0, -1, 2**63 - 1, -(2**63), 2**31)), st.integers(-(2**63), 2**63 - 1)),
    "double": st.floats(allow_nan=False),
    "string": _TEXTS,
    "bytes": st.binary(max_size=20),
}


def values_of(schema: Structure) -> st.SearchStrategy[Any]:
    """Values that fit a schema without logical types."""
    if isinstance(schema, list):
        return st.one_of([values_of(branch) for branch in schema])
    if isinstance(schema, str):
        return _PRIMITIVES[schema]
    if schema["type"] == "array":
        return st.lists(values_of(schema["items"]), max_size=4)
    if schema["type"] == "record":
        return st.fixed_dictionaries({field["name"]: values_of(field["type"]) for field in schema["fields"]})
    return values_of(schema["type"])


def reference_bytes(schema: Structure, record: dict[str, Any]) -> bytes:
    """The record as the ``avro`` package writes it."""
    out = io.BytesIO()
    avro.io.DatumWriter(avro.schema.parse(json.dumps(schema))).write(record, avro.io.BinaryEncoder(out))
    return out.getvalue()


class LenientDecoder(avro.io.BinaryDecoder):
    """avro's decoder, but for the one value on which cavro decides otherwise: a boolean byte that is neither 0 nor 1."""

    def read_boolean(self) -> bool:
        return self.read(1) != b"\x00"


def reference_reader(writer: Structure, reader: Structure) -> Callable[[bytes], Any]:
    """Reads bytes as the ``avro`` package resolves the two schemas; raises whatever avro raises."""
    datum_reader = avro.io.DatumReader(avro.schema.parse(json.dumps(writer)), avro.schema.parse(json.dumps(reader)))
    return lambda body: datum_reader.read(LenientDecoder(io.BytesIO(body)))


def varint(number: int) -> bytes:
    """A whole number as Avro writes it, also one that is too large for 64 bits."""
    rest = number << 1 if number >= 0 else (-number << 1) - 1
    out = bytearray()
    while rest > 0x7F:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    return bytes((*out, rest))
