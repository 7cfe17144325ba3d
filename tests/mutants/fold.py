"""Faults of the fold: identifiers, groups, versions, sequences, what a worker's state keeps, and the state's hash."""

from mutants.mutant import Mutant

_LINKING = "projections/test_linking.py::"
_IN_CHUNKS = "projections/test_linking_in_chunks.py::"
_ANY_ORDER = (_LINKING + "TestWithFewBirthDates::test_any_order_repeats_chunks_and_restarts_give_the_defined_groups",)
_TWICE = (_LINKING + "TestWithFewBirthDates::test_publishing_everything_twice_says_nothing_new",)
_SPECIFIC_AGAIN = (_LINKING + "test_a_generic_identifier_becomes_specific_again_right_after_a_restart_too",)
_UNDONE = (_LINKING + "test_a_wrong_merge_is_undone_by_the_correction_of_the_record_that_made_it",)
_ALIKE = (_LINKING + "test_of_two_versions_alike_the_later_change_and_then_the_content_decides_in_any_order",)
_PAIR = (_LINKING + "test_a_pair_is_told_to_everybody_once_for_each_newer_version_also_when_deleted",)
_ONLY_KNOWN_HOLDER = (
    _LINKING + "test_a_generic_identifier_brings_nobody_to_the_only_worker_of_whom_the_linker_knows_that_he_holds_it"
)
_UNEXPECTED = (
    _IN_CHUNKS + "test_a_worker_who_is_joined_to_one_that_was_smaller_before_the_chunk_brings_all_identifiers_along",
)
_RESTARTED = (
    _IN_CHUNKS + "test_what_is_told_of_a_record_that_now_says_what_another_says_does_not_depend_on_a_restart",
)
_REMEMBERED = (
    _LINKING
    + "TestWithFewBirthDates::test_who_remembers_what_the_workers_said_says_the_same_as_who_looks_everything_up",
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


def _linking(fault: str, fragment: str, replacement: str, *killers: str) -> Mutant:
    return Mutant(fault, "saphan_projections.linking", fragment, replacement, killers)


def _regrouping(fault: str, fragment: str, replacement: str, *killers: str) -> Mutant:
    return Mutant(fault, "saphan_projections.regrouping", fragment, replacement, killers)


def _memory(fault: str, fragment: str, replacement: str, *killers: str) -> Mutant:
    return Mutant(fault, "saphan_projections.link_memory", fragment, replacement, killers)


def _view(fault: str, fragment: str, replacement: str, *killers: str) -> Mutant:
    return Mutant(fault, "saphan_projections.worker_view", fragment, replacement, killers)


def _worker(fault: str, fragment: str, replacement: str, *killers: str) -> Mutant:
    return Mutant(fault, "saphan_projections.worker", fragment, replacement, killers)


_OF_IDENTITY = (
    _identity(
        "seven birth dates make an identifier nobody's",
        "GENERIC_BIRTH_DATES_MIN = 8", "GENERIC_BIRTH_DATES_MIN = 7", *_SPECIFIC_AGAIN,
    ),
    _identity(
        "eight birth dates leave an identifier somebody's",
        "GENERIC_BIRTH_DATES_MIN = 8", "GENERIC_BIRTH_DATES_MIN = 9", *_SPECIFIC_AGAIN,
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
        'return "nid:" + number if usable_person_number(number) else None', 'return "nid:" + number',
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

_OF_REGROUPING = (
    _regrouping(
        "no identifier is ever generic",
        "in generic_identifiers(signatures) - self._generic:", "in set[str]():", *_ANY_ORDER,
    ),
    _regrouping(
        "every identifier with a birth date is generic",
        "in generic_identifiers(signatures) - self._generic:",
        "in {name for said in signatures if said.birth_day for name in said.identifiers} - self._generic:",
        *_ANY_ORDER,
    ),
    _regrouping(
        "a generic identifier never becomes specific again",
        "if holders is not None:", "if holders is not None and not holders:", *_SPECIFIC_AGAIN,
    ),
    _regrouping(
        "only the first three holders of a generic identifier are looked at",
        "ordered = sorted(candidates)", "ordered = sorted(candidates)[:3]", *_SPECIFIC_AGAIN,
    ),
    _regrouping(
        "only the first three signatures of a worker are kept",
        "if said in worker.said:", "if said in worker.said or len(worker.said) >= 3:", *_ANY_ORDER,
    ),
    _regrouping(
        "what a worker's records newly say is not written",
        "self._learning.add(number)\n        for identifier", "for identifier", *_ANY_ORDER,
    ),
    _regrouping(
        "only the first four records of a worker are divided anew",
        "members.sort(key=lambda record: record.record_no)",
        "members.sort(key=lambda record: record.record_no)\n        del members[4:]", *_ANY_ORDER,
    ),
    _regrouping(
        "workers whom a record connects are always one person",
        "return len(birth_days - {None}) < GENERIC_BIRTH_DATES_MIN", "return True", _IN_CHUNKS + "test_who_is_only_named_by_the_record_that_makes_an_identifier_nobodys_does_not_move",
    ),
    _regrouping(
        "what the records of a joined worker say is not learnt",
        "self._learn(worker, signature, said)\n            for record", "pass\n            for record", *_UNEXPECTED,
    ),
    _regrouping(
        "the identifiers of a joined worker are not looked up before",
        "self._load_owners(other.identifiers)", "pass", *_UNEXPECTED,
    ),
    _regrouping(
        "the worker that loses a record is not told",
        'self._say("moved", record.worker_no, record)', "pass", *_ANY_ORDER,
    ),
    _regrouping(
        "a record that moves is told with the time when it was received",
        "record.record_no, record, self._caused_at)", "record.record_no, record, record.received_at)",
        _LINKING + "test_a_record_that_moves_is_told_with_the_time_of_the_message_that_moved_it",
    ),
    _regrouping(
        "every message bears the same number",
        "self.numbers.sequence += 1", "self.numbers.sequence += 0", *_PAIR,
    ),
    _regrouping(
        "a signature stays with a worker whose place others took",
        "worker.number = None", "pass", *_ANY_ORDER, *_REMEMBERED,
    ),
    _regrouping(
        "a signature without a specific identifier is remembered as one worker's",
        "if self._specific(signature):", "if said:", _LINKING + "test_a_record_without_identifiers_stands_alone",
    ),
)  # fmt: skip

_OF_LINKING = (
    _linking(
        "the version that came last holds",
        "event.content_hash) > before", "event.content_hash) != before", *_ANY_ORDER,
    ),
    _linking(
        "a repeat is taken for news",
        "event.content_hash) > before", "event.content_hash) >= before", *_TWICE,
    ),
    _linking(
        "of two contents under one version the one that came first holds",
        "event.changed_at, event.content_hash) > before", "event.changed_at, stored.content_hash) > before", *_ALIKE,
    ),
    _linking(
        "when a version was changed does not count",
        "(event.version, event.changed_at, event.content_hash) >", "(event.version, stored.changed_at, event.content_hash) >",
        *_ALIKE,
    ),
    _linking(
        "a deletion holds whatever its version",
        "if _is_newer(event, stored):", "if event.deleted or _is_newer(event, stored):", *_ANY_ORDER,
    ),
    _linking(
        "a deleted record stays with its worker",
        "._replace(worker_no=None)", "._replace(worker_no=worker_before)", *_ANY_ORDER,
    ),
    _linking(
        "a change that takes an identifier back undoes no merge",
        "if len(touched) == 1 and only_adds(before, signature):", "if len(touched) == 1:", *_ANY_ORDER,
    ),
    _linking(
        "a record that takes an identifier back is placed as one that only says more",
        "if worker is None or before is None or signature is None or not only_adds(before, signature):",
        "if worker is None or before is None or signature is None:", *_UNDONE,
    ),
    _linking(
        "what an older version says more than the present one is learnt",
        "if not _is_newer(event, head) or self._makes_generic(worker, signature):",
        "if self._makes_generic(worker, signature):", _IN_CHUNKS + "test_what_an_older_version_said_more_is_not_learnt",
    ),
    _linking(
        "a stored record that says more makes no identifier generic",
        "if not _is_newer(event, head) or self._makes_generic(worker, signature):",
        "if not _is_newer(event, head):", _IN_CHUNKS + "test_a_birth_date_that_is_added_may_be_one_too_many",
    ),
    _linking(
        "a record that comes to name another worker too stays with its own alone",
        "if self._owners_of(signature) <= {worker.number}:", "if self._owners_of(signature) is not None:", _IN_CHUNKS + "test_a_record_that_comes_to_name_another_worker_too_joins_both",
    ),
    _linking(
        "a new record makes no identifier generic",
        "if not self._makes_generic(worker, signature):", "if signature:", *_SPECIFIC_AGAIN,
    ),
    _linking(
        "a record without a specific identifier leaves a worker without records",
        "if not specific:", "if not signature:", *_ANY_ORDER,
    ),
    _linking(
        "a signature that connects workers is one's of them",
        "if len(numbers) > 1:", "if len(numbers) > 2:", *_UNDONE, *_ANY_ORDER,
    ),
    _linking(
        "versions of one record in one chunk are placed as if they were of several",
        "if key in repeated:", "if key is None:", *_ANY_ORDER,
    ),
    _linking(
        "an older version is placed at once",
        "and _is_newer(arrival[0], head)", "and head.record_no", *_TWICE,
    ),
    _linking(
        "a record that says something else is taken for one that repeats itself",
        "and (head.signature_hash == number or key in adding)", "and number", *_ANY_ORDER, *_REMEMBERED,
    ),
    _linking(
        "who divides a worker anew does not see the records that were just placed",
        "self._records_of[worker_no].append(record_no)", "pass", *_ANY_ORDER,
    ),
    _linking(
        "numbers of messages about placed records are given again",
        "self.numbers.sequence = sequences.stop", "self.numbers.sequence = first", *_ANY_ORDER,
    ),
    _linking(
        "a record that connects two workers too many people's joins the first alone",
        "self._regroup(owners, record)", "self._regroup({min(owners)}, record)", *_ANY_ORDER,
    ),
    _linking(
        "a record that connects two workers joins the first alone",
        "self._joined(owners) if owners", "self._joined({min(owners)}) if owners", *_UNDONE,
    ),
    _linking(
        "a deleted pair is not told",
        "if event.feed == EMPLOYER_PAIRS:", "if event.feed == EMPLOYER_PAIRS and not event.deleted:", *_PAIR,
    ),
    _linking(
        "a row whose worker changed is not written",
        "effects.records_moved = [rows[number] for number in stored if number in moved]",
        "effects.records_moved = []", *_UNDONE,
    ),
    _linking(
        "a row that stays with its worker is not written",
        "effects.records_changed = [rows[number] for number in stored if number not in moved]",
        "effects.records_changed = []", *_ANY_ORDER,
    ),
    _memory(
        "a generic identifier has an owner",
        "if self._generic.isdisjoint(identifiers):", "if identifiers:", _ONLY_KNOWN_HOLDER,
    ),
    _memory(
        "the signatures of a worker are lost when the worker is loaded",
        "Worker(number, dict(zip(signature_hashes(signatures), signatures, strict=True)))", "Worker(number)", *_ANY_ORDER,
    ),
    _memory(
        "whose a signature is is remembered when the workers are forgotten",
        "self._workers, self._owners, self._generic, self._homes = {}, {}, set(), {}",
        "self._workers, self._owners, self._generic = {}, {}, set()", _IN_CHUNKS + "test_whose_a_signature_was_before_everything_was_forgotten_counts_no_more",
    ),
    _memory(
        "a record that was just placed is read again as it was",
        "if number not in self._records and number not in self._placed:", "if number not in self._records:", _IN_CHUNKS + "test_a_record_that_changed_and_then_moves_in_one_chunk_moves_as_it_is_now",
    ),
    _memory(
        "that a record says what another one says already is not noticed before all others are placed",
        "head.signature_hash != number\n", "head.signature_hash != number and number not in homes\n", *_RESTARTED,
    ),
    Mutant(
        "a record that moves is still its former worker's in the store", "saphan_projections.link_store",
        "effects.records_moved, unchanged=_KEY_COLUMNS",
        'effects.records_moved, unchanged=(*_KEY_COLUMNS, "worker_no")', _UNDONE,
    ),
    Mutant(
        "numbers begin anew after a restart", "saphan_projections.link_store",
        "return Numbers(*rows[0]) if rows else Numbers()", "return Numbers()", _ANY_ORDER,
    ),
    Mutant(
        "an identifier stays with a worker that lost it", "saphan_projections.link_store",
        "transaction.delete(LinkIdentifierRow, sorted(effects.identifiers_removed))",
        "transaction.delete(LinkIdentifierRow, [])", _ANY_ORDER,
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
        "_pack(self.gone) + ", "_pack({}) + ",
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

FOLD = (*_OF_IDENTITY, *_OF_REGROUPING, *_OF_LINKING, *_OF_WORKERS, *_OF_HASHES)
