"""Faults of linking: who is joined and parted, what is placed at once, versions, sequences, what is remembered."""

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


def _linking(fault: str, fragment: str, replacement: str, *killers: str) -> Mutant:
    return Mutant(fault, "saphan_projections.linking", fragment, replacement, killers)


def _regrouping(fault: str, fragment: str, replacement: str, *killers: str) -> Mutant:
    return Mutant(fault, "saphan_projections.regrouping", fragment, replacement, killers)


def _memory(fault: str, fragment: str, replacement: str, *killers: str) -> Mutant:
    return Mutant(fault, "saphan_projections.link_memory", fragment, replacement, killers)


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
        "if signature_hash in worker.signature_hashes:",
        "if signature_hash in worker.signature_hashes or len(worker.signature_hashes) >= 3:", *_ANY_ORDER,
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
        "self._learn(worker, signature, signature_hash)\n            for record", "pass\n            for record", *_UNEXPECTED,
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
        "record.record_no, record, event.received_at, kept)", "record.record_no, record, record.received_at, kept)",
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
        "if self._specific(signature):", "if signature_hash:", _LINKING + "test_a_record_without_identifiers_stands_alone",
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
        "if events.key_hash[at] in self._repeated:", "if not events.key_hash:",
        _IN_CHUNKS
        + "test_of_two_versions_of_a_stored_record_in_one_chunk_the_higher_one_holds_whichever_comes_last",
    ),
    _linking(
        "an older version is placed at once",
        "and _is_newer(events.row(at), head)", "and head.record_no", *_TWICE,
    ),
    _linking(
        "a record that says something else is taken for one that repeats itself",
        "and (head.signature_hash == events.signature_hash[at] or key in self._adding)", "and events.signature_hash[at]",
        *_ANY_ORDER, *_REMEMBERED,
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
        "the birth dates in a worker's signatures are not counted",
        "self.birth_days += (birth_day,)", "pass", *_SPECIFIC_AGAIN,
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
        "(head is None or head.signature_hash != hashes[at])",
        "(head is None or head.signature_hash != hashes[at] and hashes[at] not in homes)", *_RESTARTED,
    ),
    _memory(
        "of a key that comes twice only the stored record is looked at by itself",
        "met = self._met = repeated.union([head.key_hash for head in heads])",
        "met = self._met = {head.key_hash for head in heads}", *_ANY_ORDER,
    ),
    Mutant(
        "a new record gets what its neighbour says", "saphan_projections.linking",
        "new[at] = True", "new[at - 1] = True", _ANY_ORDER,
    ),
    Mutant(
        "a piece of a chunk begins one message late", "saphan_projections.link_records",
        "column[start:stop] for column", "column[start + 1 : stop + 1] for column",
        ("streams/test_reading_ahead.py::test_what_was_read_beside_is_what_is_read_here_wherever_it_is_cut[doe.employments.v1]",),
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

LINKING = (*_OF_REGROUPING, *_OF_LINKING)
