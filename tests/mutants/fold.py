"""Faults of the fold: identifiers, groups, what a worker's state keeps, and the state's hash."""

from mutants.mutant import Mutant

_SPECIFIC_AGAIN = (
    "projections/test_linking.py::test_a_generic_identifier_becomes_specific_again_right_after_a_restart_too"
)
_FOLD = "projections/test_worker_fold.py::"
_CANONICAL = "projections/test_canonical.py::"
_PLANTED = _CANONICAL + "test_each_planted_fault_shows[%s]"
_SETTLED = "projections/test_settled.py::"
_SIGNATURES = "projections/test_signatures.py::"
_BY_COLUMNS = _SIGNATURES + "test_passports_found_by_columns_are_sorted_and_need_a_nationality"
_VIEW = "projections/test_worker_view.py::"


def _identity(fault: str, fragment: str, replacement: str, *killers: str) -> Mutant:
    return Mutant(fault, "saphan_projections.identity", fragment, replacement, killers)


def _view(fault: str, fragment: str, replacement: str, *killers: str) -> Mutant:
    return Mutant(fault, "saphan_projections.worker_view", fragment, replacement, killers)


def _worker(fault: str, fragment: str, replacement: str, *killers: str) -> Mutant:
    return Mutant(fault, "saphan_projections.worker", fragment, replacement, killers)


_OF_IDENTITY = (
    _identity(
        "seven birth dates make an identifier nobody's",
        "GENERIC_BIRTH_DATES_MIN = 8", "GENERIC_BIRTH_DATES_MIN = 7", _SPECIFIC_AGAIN,
    ),
    _identity(
        "eight birth dates leave an identifier somebody's",
        "GENERIC_BIRTH_DATES_MIN = 8", "GENERIC_BIRTH_DATES_MIN = 9", _SPECIFIC_AGAIN,
    ),
    _identity(
        "passports join whatever their nationality",
        '_document_identifier(f"{prefix}{nationality}:", raw)', "_document_identifier(prefix, raw)",
        _SIGNATURES + "test_a_passport_number_is_another_one_in_another_country",
    ),
    _identity(
        "an empty nationality is a nationality",
        ":\", raw) if nationality else None", ":\", raw) if nationality is not None else None",
        "oracle/test_oracle_faults.py::test_passports_with_an_empty_nationality_join_nobody",
    ),
    _identity(
        "placeholders of a person's number join",
        'return _PERSON_NUMBER + number if usable_person_number(number) else None', 'return _PERSON_NUMBER + number',
        _SIGNATURES + "test_what_stands_for_nothing_joins_nobody",
    ),
    _identity(
        "placeholders of a permit number join",
        "return prefix + number if usable_passport(number) else None", "return prefix + number",
        _SIGNATURES + "test_what_stands_for_nothing_joins_nobody",
    ),
    _identity(
        "a previous passport joins nobody",
        'WORK_PERMITS: ("non_thai_id", "passport_number", "previous_passport_number",',
        'WORK_PERMITS: ("non_thai_id", "passport_number",',
        _SIGNATURES + "test_every_number_of_a_record_joins",
    ),
    _identity(
        "only the first identifier of a record is looked at",
        "found = sorted(set(found))", "found = found[:1]",
        _SIGNATURES + "test_every_number_of_a_record_joins",
    ),
    _identity(
        "of two passports in a chunk the older one always stands second",
        "rows[at] = tuple(sorted(set(rows[at])))", "pass", _BY_COLUMNS,
    ),
    _identity(
        "a passport of no nationality joins when it is read in a chunk",
        "if number and nationality else None", "if number else None", _BY_COLUMNS,
    ),
    _identity(
        "records join only who shares an identifier with the first of them",
        "frontier.append(neighbour)", "group.append(neighbour)", _SIGNATURES + "test_records_are_one_person_by_way_of_others",
    ),
)  # fmt: skip

_OF_WORKERS = (
    _worker(
        "what a worker is told last holds",
        "return sequence > known", "return True", _FOLD + "test_any_order_gives_the_same_state",
    ),
    _worker(
        "a worker takes a repeat for news",
        "return sequence > known", "return sequence >= known", _FOLD + "test_a_repeat_is_no_news",
    ),
    _worker(
        "that a record went away is not kept",
        "self.gone[record_no] = sequence", "pass", _FOLD + "test_any_order_gives_the_same_state",
    ),
    _worker(
        "that a record went away is not written",
        "return pack(self.gone) + ", "return pack({}) + ",
        _FOLD + "test_a_state_that_was_packed_in_between_goes_on_as_if_it_had_not_been",
    ),
    _worker(
        "a worker keeps the id of a record that went away",
        "self._first = self.opaque = None", "pass",
        _VIEW + "test_the_id_of_a_worker_follows_from_the_records_that_are_there",
    ),
    _worker(
        "what was packed of a record's older state is written on",
        "self._packed[record_no] = _packed_member(record_no, member)", "pass",
        _FOLD + "test_a_state_is_packed_and_read_again_as_it_is_whatever_was_packed_before",
    ),
    _worker(
        "an alert is packed as it was decided before",
        "self.alerts[record_no] = known\n        self._tail = None", "self.alerts[record_no] = known",
        _FOLD + "test_a_state_is_packed_and_read_again_as_it_is_whatever_was_packed_before",
    ),
    _worker(
        "what an older state of a record said is believed",
        "self.person = None\n\n\ndef", "pass\n\n\ndef",
        _FOLD + "test_what_a_worker_is_after_each_change_is_what_all_its_members_say_anew",
    ),
    _worker(
        "a worker of whom no record is there is taken for one who has a row",
        "self.written_id: str | None = None", 'self.written_id: str | None = ""',
        "projections/test_integrating.py::test_a_worker_who_only_lost_a_record_gets_a_row_once_and_then_keeps_it",
    ),
    _worker(
        "what was encoded of a record's older state is sent on",
        'self.encoded[record_no] = b""', 'self.encoded.setdefault(record_no, b"")',
        "streams/test_integrated_workers.py::test_a_changing_worker_is_always_encoded_as_the_codec_does",
    ),
    _view(
        "immigration is believed before civil registration",
        "_PRECEDENCE = (NON_THAI_IDS, STAYS,", "_PRECEDENCE = (STAYS, NON_THAI_IDS,",
        _VIEW + "test_registries_are_believed_in_their_order",
    ),
    _view(
        "of two records of a registry the one that came first is believed",
        "if known is None or _NEWNESS(member) > _NEWNESS(known):", "if known is None:",
        _VIEW + "test_of_a_registry_the_newest_record_is_believed_in_any_order",
    ),
    _view(
        "of several permits the first counts",
        "if end is not None and (permit_valid_until is None or end > permit_valid_until):",
        "if end is not None and permit_valid_until is None:",
        _VIEW + "test_a_permit_and_a_cover_hold_until_the_latest_day_that_any_of_them_says",
    ),
    _view(
        "a registry that does not say it all hides what another one says",
        "if ranked and None not in ranked[0].kept[:3]:", "if ranked:",
        _VIEW + "test_what_a_registry_does_not_say_is_taken_from_the_next_that_says_it",
    ),
    _view(
        "a voluntary insurance counts as enrolled",
        'kept[3] == "33" and kept[7] is None', "kept[7] is None",
        _VIEW + "test_only_an_open_insurance_of_employees_is_an_enrolment",
    ),
    _view(
        "an insurance that ended counts as enrolled",
        'kept[3] == "33" and kept[7] is None', 'kept[3] == "33"',
        _VIEW + "test_only_an_open_insurance_of_employees_is_an_enrolment",
    ),
)  # fmt: skip

_OF_HASHES = (
    Mutant(
        "the state's hash depends on the order of the rows", "saphan_projections.canonical",
        "sums[kind] = (sums[kind] + _digest(form)) % _MODULUS",
        "sums[kind] = (sums[kind] * 31 + _digest(form)) % _MODULUS",
        ("streams/test_replay.py::test_a_replay_equals_the_live_state",),
    ),
    Mutant(
        "the state's hash leaves contributions out", "saphan_projections.canonical",
        '"contributions": sorted(contributions),', '"contributions": [],',
        (_PLANTED % "UPDATE contribution_month SET amount_satang = amount_satang + 1 WHERE record_id = 'C-1-2026-01'",),
    ),
    Mutant(
        "the state's hash leaves out who is employed and enrolled", "saphan_projections.canonical",
        "(nationality, sex, birth_year, *map(bool, flags))", "(nationality, sex, birth_year)",
        (_PLANTED % "UPDATE worker SET enrolled = NOT enrolled WHERE worker_no = 1",),
    ),
    Mutant(
        "the state's hash leaves the rows of employments out", "saphan_projections.canonical",
        '"employments": sorted(part.employments.get(number, ())),', '"employments": [],',
        (_PLANTED % "DELETE FROM employment WHERE record_id = 'E-1'",),
    ),
    Mutant(
        "the state's hash holds the numbers of the way", "saphan_projections.canonical",
        '"worker_id": worker_id,\n        "members": sorted(', '"worker_id": number,\n        "members": sorted(',
        (_CANONICAL + "test_what_numbers_a_record_got_on_its_way_does_not_show",),
    ),
    Mutant(
        "the state's hash leaves the alerts' states out", "saphan_projections.canonical",
        '"state": alert.state,', '"state": "",',
        (_CANONICAL + "test_a_moment_changes_the_alerts_and_not_the_workers",
         _CANONICAL + "test_a_difference_names_the_worker_the_field_and_the_records"),
    ),
    Mutant(
        "what is settled depends on the wall clock", "saphan_projections.settled",
        "complete_until_ms = _known_at(basis.complete_until_ms, as_of_ms)",
        'complete_until_ms = _known_at(__import__("time").time_ns() // 1_000_000, as_of_ms)',
        (_SETTLED + "test_without_any_heartbeat_nothing_is_overdue",),
    ),
    Mutant(
        "an earlier moment is read with what was known later", "saphan_projections.settled",
        "return min(complete_until_ms, as_of_ms)", "return complete_until_ms",
        (_SETTLED + "test_an_earlier_moment_reads_with_an_earlier_heartbeat",),
    ),
    Mutant(
        "a moment after the heartbeat is taken for a heartbeat", "saphan_projections.settled",
        "return min(complete_until_ms, as_of_ms)", "return max(complete_until_ms, as_of_ms)",
        (_SETTLED + "test_a_moment_after_the_heartbeat_shows_that_the_feed_is_behind",),
    ),
)  # fmt: skip

FOLD = (*_OF_IDENTITY, *_OF_WORKERS, *_OF_HASHES)
