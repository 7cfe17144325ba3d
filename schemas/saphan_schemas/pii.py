"""Which classes of personal data a schema's field may have; each field names one."""

#: Class → what it means for those who handle the field.
PII_CLASSES: dict[str, str] = {
    "none": "Says nothing about a person.",
    "pseudonym": "A number of an agency's or of ours that leads to a person or an employer only with that registry.",
    "attribute": "A fact about a person or an employer that names nobody by itself.",
    "identifier": "A number that names a person: never in keys, logs or metrics.",
    "name": "A name: never in keys, logs or metrics.",
    "birth_date": "A date of birth: never in keys, logs or metrics.",
    "sensitive": "A fact that can be turned against a person, such as nationality or wage: never in logs or metrics.",
    "inherited": "Bytes of another message: as personal as that message.",
}
#: Classes of fields that say who somebody is, or what can be turned against that person.
PERSONAL_CLASSES = frozenset({"name", "identifier", "birth_date", "sensitive"})
