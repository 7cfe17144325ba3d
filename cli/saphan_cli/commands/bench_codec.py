"""What one Avro record costs in each library that could carry the codec: the figures behind the choice of cavro."""

import io
import json
from collections.abc import Callable
from time import process_time
from timeit import repeat
from typing import Any

_ROUNDS = 5
#: The reference library is so slow that fewer records say as much.
_REFERENCE_RECORDS_MAX = 2_000
#: What a fetch brings: more records at once cost more each, because they no longer fit the processor's cache.
_CHUNK_RECORDS = 4_000

Measured = dict[str, float]


def run(records: int) -> dict[str, Any]:
    """CPU microseconds per record to encode and to decode, by library, and the ratio to the quickest one.

    The record is a full one of doe.employments.v1. ``cavro (chunk)`` is the platform's own codec reading
    a chunk, header and refusals included. A library that is not installed is left out. Raises ValueError for a
    number of records below 1.
    """
    if records < 1:
        raise ValueError(f"expected at least one record, found {records}")
    schema, record = _sample()
    libraries: dict[str, Callable[[Any, dict[str, Any], int], Measured | None]] = {
        "avro": _avro,
        "fastavro": _fastavro,
        "cavro": _cavro,
        "cavro (chunk)": _platform,
    }
    measured = {name: found for name, measure in libraries.items() if (found := measure(schema, record, records))}
    best = {step: min(row[step] for row in measured.values() if step in row) for step in ("encode", "decode")}
    return {
        "records": records,
        "fields": len(record),
        "cpu_microseconds_per_record": {
            name: {step: round(value, 2) for step, value in row.items()} for name, row in measured.items()
        },
        "times_the_quickest": {
            name: {step: round(value / best[step], 1) for step, value in row.items()} for name, row in measured.items()
        },
    }


def _sample() -> tuple[Any, dict[str, Any]]:
    from saphan_schemas.catalogue import default_catalogue
    from saphan_schemas.record_codec import structure
    from saphan_schemas.topics import EMPLOYMENTS

    schema = structure(default_catalogue().latest(EMPLOYMENTS).parsed())
    record: dict[str, Any] = {
        "record_id": "DOE-EM-2569-000184",
        "version": 2,
        "changed_at": 1_772_442_900_000,
        "deleted": False,
        "permit_number": "WP7169004821",
        "non_thai_id": "0071015201849",
        "passport_number": "MF482915",
        "nationality": "MMR",
        "employer_id": "DOE-E-7105-0042",
        "workplace_district": "7105",
        "sector": "manufacturing",
        "start_date": 20_468,
        "end_date": 20_511,
        "contract_months": 24,
    }
    missing = {field["name"]: field["default"] for field in schema["fields"] if field["name"] not in record}
    return schema, missing | record


def _avro(schema: Any, record: dict[str, Any], records: int) -> Measured:
    import avro.io
    import avro.schema

    parsed = avro.schema.parse(json.dumps(schema))
    writer, reader = avro.io.DatumWriter(parsed), avro.io.DatumReader(parsed, parsed)

    def encode() -> bytes:
        out = io.BytesIO()
        writer.write(record, avro.io.BinaryEncoder(out))
        return out.getvalue()

    body = encode()
    count = min(records, _REFERENCE_RECORDS_MAX)
    return _both(encode, lambda: reader.read(avro.io.BinaryDecoder(io.BytesIO(body))), count)


def _fastavro(schema: Any, record: dict[str, Any], records: int) -> Measured | None:
    try:
        import fastavro
    except ImportError:
        return None
    parsed = fastavro.parse_schema(schema)

    def encode() -> bytes:
        out = io.BytesIO()
        fastavro.schemaless_writer(out, parsed, record)
        return out.getvalue()

    body = encode()
    return _both(encode, lambda: fastavro.schemaless_reader(io.BytesIO(body), parsed, None), records)


def _cavro(schema: Any, record: dict[str, Any], records: int) -> Measured:
    import cavro

    parsed = cavro.Schema(json.dumps(schema), record_decodes_to_dict=True)
    body = parsed.binary_encode(record)
    return _both(lambda: parsed.binary_encode(record), lambda: parsed.binary_decode(body), records)


def _platform(_: Any, record: dict[str, Any], records: int) -> Measured:
    from saphan_schemas.codec import Codec
    from saphan_schemas.topics import EMPLOYMENTS

    codec = Codec()
    chunk = [codec.encode(EMPLOYMENTS, record)] * min(records, _CHUNK_RECORDS)
    chunks = max(1, records // _CHUNK_RECORDS)
    return {
        "encode": _microseconds(lambda: codec.encode(EMPLOYMENTS, record), records),
        "decode": _microseconds(lambda: codec.decode_many(EMPLOYMENTS, chunk), chunks) / len(chunk),
    }


def _both(encode: Callable[[], bytes], decode: Callable[[], Any], records: int) -> Measured:
    return {"encode": _microseconds(encode, records), "decode": _microseconds(decode, records)}


def _microseconds(act: Callable[[], Any], times: int) -> float:
    """CPU microseconds of one act: the best of a few rounds, since other work on the machine only adds."""
    return min(repeat(act, number=times, repeat=_ROUNDS, timer=process_time)) / times * 1e6
