"""Faults of what is decided: days, deadlines, holds, evidence, and which alerts are told, kept and withdrawn."""

from mutants.mutant import Mutant

_ALERTS = "projections/test_alerts.py::"
_PROPERTIES = "projections/test_alerts_properties.py::"
_SETTLED = "projections/test_settled.py::"
_INTEGRATING = "projections/test_integrating.py::"
_TOLD = "projections/test_told.py::"
_FAULTS = "oracle/test_oracle_faults.py::"
_OVERDUE = _ALERTS + "test_an_alert_is_overdue_when_the_feed_is_complete_past_day_30"
_ANY_CHUNKS = (
    _INTEGRATING
    + "test_any_chunks_interleaving_of_partitions_repeats_and_restarts_give_the_same_rows_and_alerts"
)  # fmt: skip
_WITHDRAWN = (
    _INTEGRATING + "test_an_alert_whose_employment_moves_and_is_deleted_at_once_ends_withdrawn_for_its_receivers"
)
_LATE = _INTEGRATING + "test_a_deletion_that_is_read_late_does_not_outvote_the_employment_that_came_back_elsewhere"


def _alerts(fault: str, fragment: str, replacement: str, *killers: str) -> Mutant:
    return Mutant(fault, "saphan_projections.alerts", fragment, replacement, killers)


def _integrating(fault: str, fragment: str, replacement: str, *killers: str) -> Mutant:
    return Mutant(fault, "saphan_projections.integrating", fragment, replacement, killers)


def _noting(fault: str, fragment: str, replacement: str, *killers: str) -> Mutant:
    return Mutant(fault, "saphan_projections.alert_notes", fragment, replacement, killers)


def _store(fault: str, fragment: str, replacement: str, *killers: str) -> Mutant:
    return Mutant(fault, "saphan_projections.integrate_store", fragment, replacement, killers)


_OF_DAYS = (
    _alerts(
        "the last day in time is not counted in",
        "return (due_day + 1) * DAY_MS", "return due_day * DAY_MS", _OVERDUE,
    ),
    _alerts(
        "days end at midnight in Greenwich",
        "* DAY_MS + _FIRST_MIDNIGHT_MS", "* DAY_MS",
        _ALERTS + "test_the_deadline_is_the_bangkok_midnight_that_ends_the_last_day",
    ),
    _alerts(
        "an employer has 31 days",
        "due_day = gap_day + rule.deadline_days", "due_day = gap_day + rule.deadline_days + 1", _OVERDUE,
    ),
    _alerts(
        "an employer has 29 days",
        "due_day = gap_day + rule.deadline_days", "due_day = gap_day + rule.deadline_days - 1", _OVERDUE,
    ),
    _alerts(
        "who leaves on the last day in time has not left in time",
        "end_day <= due_day", "end_day < due_day", _ALERTS + "test_an_exit_withdraws_up_to_and_on_the_last_day",
    ),
    _alerts(
        "an alert is overdue though the feed never said that it is complete",
        "if sso_complete_until_ms is not None and sso_complete_until_ms >= deadline_ms(due_day):",
        "if sso_complete_until_ms is None or sso_complete_until_ms >= deadline_ms(due_day):", _OVERDUE,
    ),
    _alerts(
        "a feed that is complete up to the deadline is not complete enough",
        "sso_complete_until_ms >= deadline_ms(due_day):", "sso_complete_until_ms > deadline_ms(due_day):", _OVERDUE,
    ),
    _alerts(
        "an insurance that ends on the first day of work does not overlap it",
        "if until < first_day:", "if until <= first_day:",
        _ALERTS + "test_an_insurance_overlaps_when_one_day_is_common",
    ),
    _alerts(
        "an insurance that begins on the last day of work does not overlap it",
        "or start > last_day:", "or start >= last_day:",
        _ALERTS + "test_an_insurance_overlaps_when_one_day_is_common",
    ),
    _alerts(
        "an insurance up to the last day of work ended early",
        "cover_end >= end_day", "cover_end > end_day", _ALERTS + "test_cover_must_last_to_the_last_day_of_work",
    ),
    _alerts(
        "a gap begins on the last insured day",
        "gap_day = cover_end + 1", "gap_day = cover_end", _ALERTS + "test_a_reopened_alert_runs_from_the_gap",
    ),
    _alerts(
        "of several insurances the first counts",
        "cover_end = max([end for _, end in cover])", "cover_end = cover[0][1]",
        _ALERTS + "test_a_second_insurance_carries_the_cover_on",
        _PROPERTIES + "test_decide_agrees_with_the_model_that_walks_through_the_days",
    ),
)  # fmt: skip

_OF_REASONS = (
    _alerts(
        "sections 39 and 40 count as enrolment",
        "if section != SECTION_OF_EMPLOYEES or", 'if section not in {"33", "39", "40"} or',
        _ALERTS + "test_no_other_section_counts",
    ),
    _alerts(
        "an insurance with another employer resolves",
        "own = [pair for pair in pairs if pair.employer_id == employer_id]", "own = list(pairs)",
        _ALERTS + "test_the_reason_tells_no_insurance_from_another_employers",
    ),
    _alerts(
        "another branch of an account is the same employer",
        "pairs_by_account.get((account, branch), ())", 'pairs_by_account.get((account, "000000"), ())',
        _ALERTS + "test_another_branch_is_another_employer",
    ),
    _alerts(
        "an unpaired account accuses the employer",
        'if standing.state == "overdue" and unpaired:', 'if standing.state == "never" and unpaired:',
        _ALERTS + "test_an_insurance_without_a_known_employer_holds",
    ),
    _alerts(
        "a hold never ends",
        'if at_best.state != "overdue":', "if at_best:",
        _ALERTS + "test_a_hold_ends_when_the_unpaired_insurance_could_no_longer_help",
    ),
    _alerts(
        "nobody looks again at a hold",
        'check_day = at_best.due_day if at_best.state in {"due", "reopened"} else None', "check_day = None",
        _ALERTS + "test_a_hold_ends_when_the_unpaired_insurance_could_no_longer_help",
        _PROPERTIES + "test_only_the_heartbeat_that_passes_the_check_day_changes_a_decision",
    ),
    _alerts(
        "nobody is told that the SSO's feed is behind",
        'return "sso_feed_behind" if behind and as_of_ms >= deadline else None', "return None",
        _ALERTS + "test_a_reader_sees_that_the_sso_feed_is_behind_only_past_the_last_day",
    ),
    _alerts(
        "the evidence leaves the insurance out",
        'evidence.append(("matching_insurance", reference))', "pass",
        _ALERTS + "test_the_evidence_is_sorted_and_names_each_record_once_per_role",
    ),
    _alerts(
        "the evidence leaves the pairs out",
        'evidence.extend([("pair", pair.reference) for pair in own or pairs])', "pass",
        _ALERTS + "test_the_pair_of_another_employer_is_evidence_that_the_account_is_not_this_employers",
    ),
    _alerts(
        "the evidence stands in the order of arrival",
        "tuple(sorted(set(evidence)))", "tuple(evidence)",
        _PROPERTIES + "test_the_order_of_insurances_and_pairs_does_not_matter",
    ),
    _alerts(
        "a hold that comes or goes is not worth telling",
        "decision.since_day, decision.hold, decision.reason)", "decision.since_day, None, decision.reason)",
        _TOLD + "test_a_hold_that_comes_and_goes_is_told",
    ),
)  # fmt: skip

_OF_ALERTS = (
    _integrating(
        "a worker who lost every record stays without an id",
        'opaque = ""', 'opaque = state.opaque = ""',
        _INTEGRATING + "test_a_worker_who_lost_every_record_has_an_id_again_with_the_next_one",
    ),
    _noting(
        "an alert's id comes from the worker",
        "identity = alert_id(record_id)", "identity = alert_id(opaque)",
        _SETTLED + "test_recomputed_alerts_equal_the_stored_ones",
    ),
    _integrating(
        "the end of an alert whose employment was deleted is not told",
        "self._effects.alerts_deleted.append(gone)", "pass", _SETTLED + "test_a_deleted_employment_has_no_settled_alert",
    ),
    _integrating(
        "a withdrawal bears the number of the moment when it was noticed",
        "state.gone.get(record_no, sequence)", "sequence", _LATE,
    ),
    _integrating(
        "an alert that moved with its employment is withdrawn",
        'if message.kind == "moved" and message.record_no in state.alerts:',
        'if message.kind == "never" and message.record_no in state.alerts:',
        _TOLD + "test_an_alert_that_moves_with_its_employment_is_not_withdrawn_in_between",
    ),
    _integrating(
        "an alert that comes and goes in one chunk is not withdrawn",
        "self._decide_before_it_goes(state, message)", "pass", _WITHDRAWN,
    ),
    _noting(
        "only the first state of an alert is told",
        "or known.told != told or", "or",
        _TOLD + "test_each_state_is_told_once",
    ),
    _noting(
        "new evidence alone is told as news",
        "news = known is None or", "news = bool(told) or",
        _TOLD + "test_new_evidence_alone_is_kept_and_not_told",
    ),
    _noting(
        "another employer alone is not told",
        " or known.employer_id != employer_id", "",
        _TOLD + "test_a_corrected_employer_is_told_also_when_nothing_else_changes",
    ),
    _integrating(
        "an older heartbeat takes a newer one back",
        "if until <= self._watermarks.get(message.record_id, -1):", "if until < 0:",
        _TOLD + "test_an_older_heartbeat_takes_nothing_back",
    ),
    _integrating(
        "the pair that came last holds",
        "if (known is not None and message.sequence <= known.sequence) or kept is None:", "if kept is None:",
        _TOLD + "test_a_pair_that_comes_again_late_changes_nothing",
    ),
    _integrating(
        "a pair changes nothing for workers whom the chunk does not name",
        "if self._accounts_changed:", "if not self._accounts_changed:",
        _SETTLED + "test_every_moment_of_a_pair_is_followed",
    ),
    _integrating(
        "workers whom a heartbeat or a pair wakes are not looked at",
        "self._alerts_to_decide |= looked_at", "pass", _SETTLED + "test_every_moment_of_a_pair_is_followed",
    ),
    _integrating(
        "of one contribution the first message of a chunk counts",
        "if known is None or event.message.sequence > known.message.sequence:", "if known is None:",
        _TOLD + "test_of_a_contribution_the_newest_message_counts_within_a_chunk_and_after_it",
    ),
    _integrating(
        "an empty text hides what another registry says",
        'None if value == "" else value for value in kept', "value for value in kept",
        _FAULTS + "test_an_empty_text_hides_nothing_that_another_registry_says",
    ),
    _store(
        "of one contribution the message that came last counts",
        'transaction.upsert(ContributionMonthRow, contributions, newer_by="sequence")',
        "transaction.upsert(ContributionMonthRow, contributions)",
        _TOLD + "test_of_a_contribution_the_newest_message_counts_within_a_chunk_and_after_it",
    ),
    _store(
        "the look at an alert that came last is stored",
        'transaction.upsert(AlertRow, rows, newer_by="sequence", unchanged=', "transaction.upsert(AlertRow, rows, unchanged=",
        _LATE, _ANY_CHUNKS,
    ),
    _store(
        "an alert bears the number of the last look instead of the one of its state",
        "decision.rule_version,\n        change.version,", "decision.rule_version,\n        change.sequence,",
        _TOLD + "test_the_version_that_is_told_is_the_one_that_is_kept",
    ),
    _store(
        "the heartbeat that ends the last day in time wakes nobody",
        "AND check_day < ?", "AND check_day < ? - 1",
        _TOLD + "test_the_heartbeat_that_ends_the_last_day_in_time_makes_the_alert_overdue_at_once",
    ),
    _store(
        "a deleted employment stays among the rows",
        "transaction.delete(EmploymentRow, gone)", "pass",
        _TOLD + "test_a_deleted_employment_and_a_deleted_insurance_leave_the_rows",
    ),
    _store(
        "the rows' pairs count though they were deleted",
        "sequence,\n            bool(present),", "sequence,\n            True,",
        _TOLD + "test_a_deleted_pair_is_gone_also_after_a_restart",
    ),
)  # fmt: skip

DECIDING = (*_OF_DAYS, *_OF_REASONS, *_OF_ALERTS)
