"""Records of a feed with the types of its schema: good ones, and ones that are wrong or unusual in some of their fields."""

from typing import Any

from avro_samples import values_of
from good_records import CITIZEN, COMPANY, PERSON, good
from hypothesis import strategies as st

from saphan_schemas.catalogue import default_catalogue
from saphan_schemas.record_codec import structure
from saphan_schemas.topics import RECORD_FEEDS

Record = dict[str, Any]

#: What agencies write into a field of text: numbers in all spellings, placeholders, texts with breaks in them.
_SPELLINGS = st.sampled_from((
    PERSON, CITIZEN, COMPANY, "0-0710-15201-84-9", "0 0710 15201 84 9", "๐๐๗๑๐๑๕๒๐๑๘๔๙", "0071015201848", "1234567890121",
    "0000000000017", "9071015201849", "0041015201849", f"{PERSON}\n", "0071015\n201849", "", " ", "-", "- -", "\n", "\t",
    "MB700001", "mb 700001", "MB-70/0001", "ＭＢ７００００１", "A1234567", "A1234", "1111111", "0000000", "712719790374",
    "MHI-0607380953", "00000000001", "ABCDEFG", "MB7000012345678901234567", "123", "WPN0000001\u00ad", "é" * 7, "ß123456",
    "MMR", "ZZZ", "mmr", "7101", "33", "2026-13", "2569-01", "1899-12", "2026-01", "000001", "0000000001", "x" * 501,
    "E-1", "1E", "ไม่มี", "a\x7fb", "a\u200db", "juristic", "person", "employer 0071015201849", "x0071015201849",
    f"EMP-{CITIZEN}", f"71{CITIZEN}", "EMP-3-7105-00120-87-1", "E-2026-11-23-00123", f"EMP-{COMPANY}", f"๗ {CITIZEN}",
))  # fmt: skip
_NUMBERS = st.sampled_from((0, 1, -1, 600, 601, 20_000, -25_567, -25_568, 157_000, 158_000, 198_000, 2**63 - 1, 10**10))


def _unusual(kind: Any) -> st.SearchStrategy[Any]:
    fitting = values_of(kind)
    branches = kind if isinstance(kind, list) else [kind]
    names = {branch if isinstance(branch, str) else branch["type"] for branch in branches}
    if "string" in names:
        return fitting | _SPELLINGS
    return fitting | _NUMBERS if names & {"int", "long"} else fitting


_UNUSUAL = {
    feed: {
        field["name"]: _unusual(field["type"])
        for field in structure(default_catalogue().latest(feed).parsed())["fields"]
    }
    for feed in RECORD_FEEDS
}


def varied(feed: str) -> st.SearchStrategy[Record]:
    """A good record, some fields of it changed, often one, seldom all; the fields stand in the order of the schema."""
    unusual = _UNUSUAL[feed]
    start = good(feed)
    one = st.sampled_from(sorted(unusual)).flatmap(lambda name: unusual[name].map(lambda value: start | {name: value}))
    most = st.fixed_dictionaries({name: st.just(start[name]) | kind for name, kind in unusual.items()})
    deleted = most.map(lambda record: {name: record[name] if name in _ENVELOPE else None for name in record})
    return st.just(start) | one | one | most | deleted


_ENVELOPE = ("record_id", "version", "changed_at", "deleted")
