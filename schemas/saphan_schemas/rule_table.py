"""What each feed asks of a record: which fields, which codes, which ranges. The rules themselves are in ``rules``."""

from dataclasses import dataclass
from datetime import date
from itertools import product

from saphan_schemas.topics import (
    CONTRIBUTIONS,
    DAY_MS,
    DOE_EMPLOYERS,
    EMPLOYER_PAIRS,
    EMPLOYMENTS,
    HEALTH_COVER,
    INSPECTIONS,
    INSURED_PERSONS,
    NON_THAI_IDS,
    SSO_EMPLOYERS,
    STAYS,
    WORK_PERMITS,
)
from saphan_schemas.values import date_to_days

FIRST_DAY = date_to_days(date(1900, 1, 1))
LAST_DAY = date_to_days(date(2400, 12, 31))
FIRST_CHANGE_MS = date_to_days(date(2000, 1, 1)) * DAY_MS
LAST_CHANGE_MS = (LAST_DAY + 1) * DAY_MS - 1
RECORD_ID_CHARACTERS_MAX = 200
TEXT_CHARACTERS_MAX = 500
VERSION_MAX = 2**63 - 1

SECTORS = ("agriculture", "manufacturing", "construction", "services", "domestic", "other")
PERMIT_TYPES = ("mou", "cabinet", "border", "general")
SECTIONS = ("33", "39", "40")
SEXES = ("F", "M")
ID_TYPES = ("juristic", "person")

#: ISO 3166-1 alpha-3, and what travel documents use besides (ICAO 9303). Another code is a warning.
_ISO_3166 = """
ABW AFG AGO AIA ALA ALB AND ARE ARG ARM ASM ATA ATF ATG AUS AUT AZE BDI BEL BEN BES BFA BGD BGR BHR BHS BIH BLM
BLR BLZ BMU BOL BRA BRB BRN BTN BVT BWA CAF CAN CCK CHE CHL CHN CIV CMR COD COG COK COL COM CPV CRI CUB CUW CXR
CYM CYP CZE DEU DJI DMA DNK DOM DZA ECU EGY ERI ESH ESP EST ETH FIN FJI FLK FRA FRO FSM GAB GBR GEO GGY GHA GIB
GIN GLP GMB GNB GNQ GRC GRD GRL GTM GUF GUM GUY HKG HMD HND HRV HTI HUN IDN IMN IND IOT IRL IRN IRQ ISL ISR ITA
JAM JEY JOR JPN KAZ KEN KGZ KHM KIR KNA KOR KWT LAO LBN LBR LBY LCA LIE LKA LSO LTU LUX LVA MAC MAF MAR MCO MDA
MDG MDV MEX MHL MKD MLI MLT MMR MNE MNG MNP MOZ MRT MSR MTQ MUS MWI MYS MYT NAM NCL NER NFK NGA NIC NIU NLD NOR
NPL NRU NZL OMN PAK PAN PCN PER PHL PLW PNG POL PRI PRK PRT PRY PSE PYF QAT REU ROU RUS RWA SAU SDN SEN SGP SGS
SHN SJM SLB SLE SLV SMR SOM SPM SRB SSD STP SUR SVK SVN SWE SWZ SXM SYC SYR TCA TCD TGO THA TJK TKL TKM TLS TON
TTO TUN TUR TUV TWN TZA UGA UKR UMI URY USA UZB VAT VCT VEN VGB VIR VNM VUT WLF WSM YEM ZAF ZMB ZWE
"""
_ICAO_9303 = "GBD GBN GBO GBP GBS RKS UNO UNA UNK XOM XXA XXB XXC XXX EUE"
NATIONALITIES = frozenset((_ISO_3166 + _ICAO_9303).split())
#: Province 10 to 96 and a district; whether that district exists is the registry's to know.
DISTRICTS = frozenset(f"{province}{a}{b}" for province, a, b in product(range(10, 97), "0123456789", "0123456789"))

_PERSON_NUMBER = ("non_thai_id",)
_PASSPORT = ("passport_number", "nationality")
_PERMIT = ("permit_number",)
_INSURED = ("insured_number",)


@dataclass(frozen=True, slots=True)
class FeedTable:
    """The rules of one feed; the envelope's are the same everywhere.

    ``required`` fields must have a value; of ``one_of`` at least one group must be given as a whole (placeholders are
    not a value). ``ordered`` names a first and a last day. ``required_in_section_33`` goes for insured persons.
    """

    required: tuple[str, ...] = ()
    one_of: tuple[tuple[str, ...], ...] = ()
    ordered: tuple[tuple[str, str], ...] = ()
    required_in_section_33: tuple[str, ...] = ()


TABLES: dict[str, FeedTable] = {
    WORK_PERMITS: FeedTable(
        one_of=(_PERMIT, _PERSON_NUMBER, ("passport_number",)), ordered=(("valid_from", "valid_until"),)
    ),
    EMPLOYMENTS: FeedTable(
        required=("employer_id", "start_date"),
        one_of=(_PERMIT, _PERSON_NUMBER, _PASSPORT),
        ordered=(("start_date", "end_date"),),
    ),
    DOE_EMPLOYERS: FeedTable(),
    NON_THAI_IDS: FeedTable(one_of=(_PERSON_NUMBER, ("passport_number",))),
    STAYS: FeedTable(one_of=(("passport_number",),), ordered=(("entry_date", "exit_date"),)),
    INSURED_PERSONS: FeedTable(
        required=("section",),
        one_of=(_INSURED, _PERSON_NUMBER, _PASSPORT),
        ordered=(("start_date", "end_date"),),
        required_in_section_33=("sso_account", "sso_branch", "start_date"),
    ),
    CONTRIBUTIONS: FeedTable(required=("insured_number", "sso_account", "sso_branch", "month")),
    SSO_EMPLOYERS: FeedTable(required=("sso_account", "sso_branch")),
    HEALTH_COVER: FeedTable(
        one_of=(("card_number",), _PERSON_NUMBER, ("passport_number",)), ordered=(("valid_from", "valid_until"),)
    ),
    INSPECTIONS: FeedTable(required=("visited_on",), one_of=(("establishment_number",), ("employer_id",))),
    EMPLOYER_PAIRS: FeedTable(required=("sso_account", "sso_branch", "employer_id")),
}

#: Fields that take one of a few codes.
CODES: dict[str, tuple[str, ...]] = {
    "sex": SEXES,
    "sector": SECTORS,
    "permit_type": PERMIT_TYPES,
    "section": SECTIONS,
    "id_type": ID_TYPES,
}
DISTRICT_FIELDS = ("workplace_district", "address_district", "district")
#: Fields with a fixed number of digits.
DIGITS: dict[str, int] = {"sso_account": 10, "sso_branch": 6}
#: Numbers of travel documents and cards; blanks, dashes and case do not matter.
DOCUMENT_FIELDS = ("passport_number", "previous_passport_number", "permit_number", "card_number")
#: The largest value of a whole number; the smallest is 0.
AMOUNT_MAX: dict[str, int] = {
    "workers": 10_000_000,
    "workers_found": 10_000_000,
    "contract_months": 600,
    "wage_satang": 10_000_000_000,
    "amount_satang": 10_000_000_000,
}
#: Numbers of a person that must not be a part of the record's key.
PERSON_FIELDS = ("non_thai_id", "insured_number", "passport_number", "previous_passport_number")
