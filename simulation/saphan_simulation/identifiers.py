"""Which numbers the simulated agencies give out, and how clerks write them wrong.

No accident joins two people: personal, passport, permit and insured numbers are multiples of a modulus for which any
two one-digit errors leave different remainders. A number with one wrong digit is therefore nobody else's number, and
no two people's wrong numbers meet. What does join people is on purpose: :data:`OFFICE_PERSON_NUMBERS` and
:data:`OFFICE_PASSPORTS`, the same for many.
"""

from collections.abc import Callable, Iterable

from saphan_schemas.identifiers import check_digit

#: Most workers that the numbers suffice for.
WORKERS_MAX = 7_000_000
#: Records of one worker in one feed, and documents, that the numbers suffice for.
RECORDS_MAX = 128
PASSPORTS_MAX = 16
PERMITS_MAX = 4
IDENTITIES_MAX = 4

PLACEHOLDER_PERSON_NUMBER = "0000000000000"
PLACEHOLDER_PASSPORT = "-"

_BODY_DIGITS = 10
_BODY_MODULUS = 343
_BODY_PRIME = 29_154_511
_PASSPORT_DIGITS = 8
_PASSPORT_MODULUS = 279
_PASSPORT_PRIME = 242_293_897
_RECORD_PRIME = 1_000_000_007
_STRIDE = 7_368_787
_ACCOUNT_FACTOR = 48_271
_ACCOUNT_PRIME = 9_999_991
_ACCOUNT_FACTOR_INVERSE = pow(_ACCOUNT_FACTOR, -1, _ACCOUNT_PRIME)
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def _body(number: int) -> str:
    return f"{number * _STRIDE % _BODY_PRIME * _BODY_MODULUS:010d}"


def person_number(worker: int, identity: int, *, other_series: bool) -> str:
    """13 digits of the series 00, or of series 6 with a Kanchanaburi-like office."""
    twelve = ("67" if other_series else "00") + _body(worker * IDENTITIES_MAX + identity)
    return twelve + check_digit(twelve)


def assigned_insured_number(worker: int, identity: int) -> str:
    """13 digits that the SSO assigns to whom has no personal number (its real form is not confirmed)."""
    twelve = "87" + _body(worker * IDENTITIES_MAX + identity)
    return twelve + check_digit(twelve)


def permit_number(worker: int, ordinal: int) -> str:
    """12 digits, the province's code in front (the real form is not confirmed)."""
    return "71" + _body(worker * PERMITS_MAX + ordinal)


def passport_number(worker: int, ordinal: int) -> str:
    """Two letters and eight digits."""
    number = (worker * PASSPORTS_MAX + ordinal + 1) * _STRIDE % _PASSPORT_PRIME * _PASSPORT_MODULUS
    letters, digits = divmod(number, 10**_PASSPORT_DIGITS)
    return f"{_LETTERS[letters // 26]}{_LETTERS[letters % 26]}{digits:08d}"


def record_id(prefix: str, shift: int, number: int) -> str:
    """An agency's own number for a record: says nothing about the worker. ``number`` < 900 million."""
    return f"{prefix}-{(number * _STRIDE + shift * 104_729) % _RECORD_PRIME:010d}"


def mistyped(number: str, u_place: float, u_digit: float) -> str:
    """The number with one wrong digit after its first two characters; two numbers from 0 to 1 choose which."""
    digits = _PASSPORT_DIGITS if len(number) == _PASSPORT_DIGITS + 2 else _BODY_DIGITS
    place = 2 + int(u_place * digits)
    wrong = (int(number[place]) + 1 + int(u_digit * 9)) % 10
    return f"{number[:place]}{wrong}{number[place + 1 :]}"


def reformatted(number: str) -> str:
    """The same number as some clerks write it: dashes in 13 digits, else small letters and a space."""
    if len(number) == 13:
        return f"{number[0]}-{number[1:5]}-{number[5:10]}-{number[10:12]}-{number[12]}"
    return f"{number[:2].lower()} {number[2:]}"


def juristic_tax_id(employer: int) -> str:
    """13 digits of a company in Kanchanaburi: 0, province 71, type 5, Buddhist year, serial number, check digit."""
    year, serial = divmod(employer, 100_000)
    twelve = f"0715{545 + (serial + year) % 23:03d}{serial:05d}"
    return twelve + check_digit(twelve)


def citizen_number(employer: int) -> str:
    """13 digits of a Thai citizen registered in Kanchanaburi."""
    twelve = f"{'135'[employer % 3]}71{employer:09d}"
    return twelve + check_digit(twelve)


def sso_account(employer: int) -> str:
    """10 digits of an employer's account at the SSO."""
    return f"71{employer * _ACCOUNT_FACTOR % _ACCOUNT_PRIME:07d}{employer % 10}"


def employer_of_account(account: str) -> int:
    """Whose account at the SSO this is: what :func:`sso_account` was given."""
    return int(account[2:9]) * _ACCOUNT_FACTOR_INVERSE % _ACCOUNT_PRIME


def _far_from_all(first: int, modulus: int, digits: int, count: int, form: Callable[[int], str]) -> tuple[str, ...]:
    """``count`` numbers from ``first`` on that are neither a given number nor one digit away from one."""
    errors = {wrong * 10**place % modulus for place in range(digits) for wrong in range(-9, 10)}
    found: list[str] = []
    while len(found) < count:
        if first % modulus not in errors:
            found.append(form(first))
        first += 1
    return tuple(found)


def _office_person_number(body: int) -> str:
    twelve = f"00{body:010d}"
    return twelve + check_digit(twelve)


def _office_passport(number: int) -> str:
    return f"TD{number % 10**_PASSPORT_DIGITS:08d}"


_TD = (_LETTERS.index("T") * 26 + _LETTERS.index("D")) * 10**_PASSPORT_DIGITS
OFFICE_PERSON_NUMBERS = _far_from_all(7_101_000_001, _BODY_MODULUS, _BODY_DIGITS, 2, _office_person_number)
OFFICE_PASSPORTS = _far_from_all(_TD + 71_000_001, _PASSPORT_MODULUS, _PASSPORT_DIGITS, 3, _office_passport)


def are_distinct_after_errors(modulus: int, digits: int) -> bool:
    """Whether all one-digit errors in ``digits`` places leave different remainders: what the module rests on."""
    errors: Iterable[int] = [wrong * 10**place % modulus for place in range(digits) for wrong in range(-9, 10) if wrong]
    kept = [0, *errors]
    return len(kept) == len(set(kept))


#: What was chosen, for the proof in the tests: (modulus, digits).
CODES = ((_BODY_MODULUS, _BODY_DIGITS), (_PASSPORT_MODULUS, _PASSPORT_DIGITS))
