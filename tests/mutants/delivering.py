"""Faults of delivery: what a receiver is told, how often, under which id and signature, and what the ledger knows."""

from mutants.mutant import Mutant

_DELIVERY = "consumers/test_delivery.py::"
_RETRYING = "consumers/test_retrying.py::"
_SIGNING = "consumers/test_signing.py::"
_FILE = "consumers/test_file_sink.py::"
_COMMITTEE = "consumers/test_committee.py::"
_KILLED = _FILE + "test_killed_at_any_byte_the_file_ends_with_each_state_once"
_COUNTS = _COMMITTEE + "test_the_counts_are_those_of_the_newest_rows_however_the_log_is_cut_and_repeated"
_ID = _DELIVERY + "test_the_id_depends_on_what_is_told_and_on_nothing_else"
_VECTOR = _SIGNING + "test_the_published_vector_gives_the_published_signature"


def _delivery(fault: str, fragment: str, replacement: str, *killers: str) -> Mutant:
    return Mutant(fault, "saphan_consumers.delivery", fragment, replacement, killers)


def _retrying(fault: str, fragment: str, replacement: str, *killers: str) -> Mutant:
    return Mutant(fault, "saphan_consumers.retrying", fragment, replacement, killers)


def _signing(fault: str, fragment: str, replacement: str, *killers: str) -> Mutant:
    return Mutant(fault, "saphan_consumers.signing", fragment, replacement, killers)


def _file(fault: str, fragment: str, replacement: str, *killers: str) -> Mutant:
    return Mutant(fault, "saphan_consumers.file_sink", fragment, replacement, killers)


def _committee(fault: str, fragment: str, replacement: str, *killers: str) -> Mutant:
    return Mutant(fault, "saphan_consumers.committee", fragment, replacement, killers)


_OF_WHAT_IS_TOLD = (
    _delivery(
        "an older state is told after a newer one",
        "if newest is not None and version <= newest.version:", "if newest is not None and version <= 0:",
        _DELIVERY + "test_a_late_lower_version_is_dropped",
    ),
    _delivery(
        "a state that was just told is told again",
        "if newest is not None and fingerprint == newest.fingerprint:",
        "if newest is not None and fingerprint == _UNHEARD:",
        _DELIVERY + "test_the_same_state_with_a_higher_version_or_other_evidence_is_a_repeat",
    ),
    _delivery(
        "a repeat has another id",
        '"hold", "reason")', '"hold", "reason", "version")', _ID,
    ),
    _delivery(
        "a hold that comes or goes has the same id",
        '"state_since", "hold", "reason")', '"state_since", "reason")', _ID,
    ),
    _delivery(
        "another employer has the same id",
        '"state", "employer_id",', '"state",', _ID,
    ),
    _delivery(
        "an alert that comes back to a state has the id of the first time",
        '+ (f"-{occurrence}" if occurrence > 1 else "")', "",
        _DELIVERY + "test_an_alert_that_comes_back_to_a_state_is_told_again_under_another_id",
    ),
    _delivery(
        "a receiver is told that something is closed of which it never heard",
        'if alert["state"] in _CLOSED and', 'if alert["state"] in () and',
        _DELIVERY + "test_a_receiver_is_not_told_that_something_is_closed_of_which_it_never_heard",
    ),
    _delivery(
        "a body may be of any size",
        "if len(body) < BODY_BYTES_MAX or not kept:", "if body:",
        _DELIVERY + "test_a_body_is_always_below_the_limit_and_says_how_much_evidence_it_leaves_out",
    ),
    _delivery(
        "an alert's id may be anything",
        'if not _ALERT_ID.fullmatch(alert["alert_id"]):', 'if not alert["alert_id"]:',
        _DELIVERY + "test_what_cannot_be_a_header_or_a_type_is_no_alert",
    ),
    Mutant(
        "a message that cannot be read is not set aside", "saphan_consumers.intake",
        "refused.append(Refused(message.place, message.offset, error.reason, error.detail, message.value))", "pass",
        (_FILE + "test_a_message_that_cannot_be_read_is_set_aside_and_its_neighbours_are_delivered",),
    ),
)  # fmt: skip

_OF_THE_WEBHOOK = (
    _retrying(
        "a delivery is given up early",
        "if waited_ms >= policy.give_up_seconds * 1000 and attempts", "if waited_ms >= 0 and attempts",
        _RETRYING + "test_a_delivery_that_always_fails_is_tried_for_76_hours_and_then_parked",
    ),
    _retrying(
        "a long stop of our own parks what was tried only twice",
        " and attempts >= policy.attempts_min:", ":",
        _RETRYING + "test_a_long_stop_of_our_own_does_not_park_what_was_tried_only_twice",
    ),
    _retrying(
        "a redirect counts as delivered",
        "200 <= self.status < 300", "200 <= self.status < 400",
        _RETRYING + "test_everything_else_but_410_is_tried_again",
    ),
    _retrying(
        "a receiver that is gone is asked on",
        "if reply.status == _GONE:", "if reply.status == 0:",
        _RETRYING + "test_410_switches_the_endpoint_off",
    ),
    _retrying(
        "Retry-After is not heeded",
        "delay = max(delay, min(reply.retry_after_seconds, policy.retry_after_seconds_max))", "pass",
        _RETRYING + "test_retry_after_is_obeyed_within_a_day",
    ),
    _retrying(
        "one failing alert pauses the endpoint for all",
        "_ALERTS_UNTIL_PAUSE = 5", "_ALERTS_UNTIL_PAUSE = 1",
        _RETRYING + "test_one_failing_alert_never_pauses_the_endpoint",
    ),
    _signing(
        "the signature does not cover the body",
        ".encode() + body", ".encode()", _VECTOR,
    ),
    _signing(
        "the signature does not cover the time",
        'f"{message_id}.{timestamp}."', 'f"{message_id}.."', _VECTOR,
    ),
    _signing(
        "only the newest secret signs",
        "for key in keys),", "for key in keys[:1]),",
        _SIGNING + "test_while_a_secret_is_replaced_both_the_old_and_the_new_one_verify",
    ),
    _signing(
        "an old message is believed",
        "if abs(age) > TOLERANCE_SECONDS:", "if -age > TOLERANCE_SECONDS:",
        _SIGNING + "test_a_changed_message_is_refused_with_its_code",
    ),
    _signing(
        "a message without our signature is believed",
        "if not any(hmac.compare_digest(one, other) for one in expected for other in given):", "if not given:",
        _SIGNING + "test_a_changed_body_is_refused_here_and_by_the_other_implementation",
    ),
    Mutant(
        "a later state of an alert does not wait for the earlier one", "saphan_consumers.pending",
        "CASE WHEN EXISTS (SELECT 1 FROM waiting WHERE alert_id = ?2) THEN NULL ELSE ?4 END", "?4",
        ("consumers/test_pending.py::test_of_one_alert_only_the_oldest_state_is_due",),
    ),
    Mutant(
        "a delivered state lets the one behind it wait for ever", "saphan_consumers.pending",
        '"UPDATE waiting SET next_attempt_ms = ? WHERE parked_ms IS NULL "',
        '"UPDATE waiting SET next_attempt_ms = ? WHERE parked_ms IS NOT NULL "',
        ("consumers/test_pending.py::test_of_one_alert_only_the_oldest_state_is_due",),
    ),
    Mutant(
        "the trial receiver keeps repeats", "saphan_consumers.receiver",
        "if message_id in self._ids:", "if not message_id:",
        ("consumers/test_receiver.py::test_a_signed_state_is_kept_once_and_every_repeat_is_acknowledged",),
    ),
    _retrying(
        "a clock that was ahead holds deliveries back once it is put right",
        "return seen_ms - now_ms if seen_ms - now_ms > _CORRECTION_MS_MAX else 0", "return 0",
        "consumers/test_found_by_chaos.py::test_small_corrections_of_a_clock_are_no_step_back",
    ),
)  # fmt: skip

_OF_LEDGERS = (
    _file(
        "what a crash left in the file is not known to the ledger",
        "lines, end = self._adopt(known, size)", "lines, end = 0, size", _KILLED,
    ),
    _file(
        "an unfinished line stays in the file",
        "if end < size:", "if end < 0:", _KILLED,
    ),
    _file(
        "a line counts before it is on the disk",
        "os.fsync(self._descriptor)\n        self._length += len(lines)", "self._length += len(lines)",
        _FILE + "test_a_line_is_on_the_disk_before_the_ledger_says_so",
    ),
    _file(
        "a renamed file is written on",
        "if self._moved_away():", "if self._descriptor < 0:",
        _FILE + "test_a_file_that_is_renamed_away_while_we_run_is_begun_anew",
    ),
    Mutant(
        "the ledger moves on before the effect", "saphan_consumers.delivering",
        "self._sink.append(decision.deliveries)\n        with self._ledger.transaction():\n"
        "            conclude(self._ledger, decision, refused, chunk, topic_ids)\n            self._sink.remember()",
        "with self._ledger.transaction():\n"
        "            conclude(self._ledger, decision, refused, chunk, topic_ids)\n"
        "        self._sink.append(decision.deliveries)\n"
        "        with self._ledger.transaction():\n            self._sink.remember()", (_KILLED,),
    ),
    Mutant(
        "the ledger's position is written apart from what was told", "saphan_consumers.intake",
        "record(ledger, decision)\n", "pass\n",
        (_FILE + "test_a_replay_of_the_log_from_its_start_adds_nothing", _KILLED),
    ),
    Mutant(
        "two consumers share a ledger", "saphan_consumers.ledger",
        "fcntl.LOCK_EX | fcntl.LOCK_NB", "fcntl.LOCK_SH | fcntl.LOCK_NB",
        (_FILE + "test_two_consumers_never_share_a_ledger",),
    ),
    Mutant(
        "half a transaction stays in the ledger", "saphan_consumers.ledger",
        'self.db.execute("ROLLBACK")', 'self.db.execute("COMMIT")',
        (_FILE + "test_nothing_of_a_ledgers_transaction_that_fails_is_kept",),
    ),
    Mutant(
        "a transaction of the ledger that failed stays open", "saphan_consumers.ledger",
        'self.db.execute("COMMIT")\n        except BaseException:', 'self.db.execute("COMMIT")\n        except LookupError:',
        ("consumers/test_ledger.py::test_a_commit_that_fails_lets_the_next_transaction_begin",),
    ),
    Mutant(
        "the webhook's list of what waits is written apart from the ledger's position", "saphan_consumers.delivering",
        "            pending.enqueue(self._ledger, decision.deliveries, now_ms())",
        "        with self._ledger.transaction():\n"
        "            pending.enqueue(self._ledger, decision.deliveries, now_ms())",
        ("simulated_shell/test_every_crash.py::test_a_process_may_die_anywhere[webhook-statement]",),
    ),
    Mutant(
        "a full disk is forgotten as soon as everything is open", "saphan_consumers.reading",
        "broker.note(is_answered=True)\n                    log", "went_on()\n                    log",
        ("consumers/test_waiting_for_kafka.py::"
         "test_a_full_disk_is_shown_until_something_was_written_and_the_pauses_grow",),
    ),
    _committee(
        "an older state of a worker counts",
        'if before is not None and record["sequence"] <= before[0]:',
        'if before is not None and record["sequence"] <= 0:',
        _COMMITTEE + "test_an_older_state_that_comes_late_does_not_count",
    ),
    _committee(
        "an alert is counted in each state that it ever had",
        "changes.alerts[before[1]] -= 1", "pass", _COUNTS,
    ),
    _committee(
        "a dead letter that comes twice is counted twice",
        "if identity in kept.dead_letters or identity in changes.dead_letter_rows:",
        "if identity in kept.dead_letters:", _COUNTS,
    ),
    _committee(
        "a worker who was merged away is counted",
        'known = bool(record["records"])', "known = True",
        _COMMITTEE + "test_a_worker_that_was_merged_away_or_deleted_is_not_known",
    ),
    _committee(
        "a repeat of an alert is counted and timed again",
        "if before is not None and version <= before[0]:", "if before is not None and version < 0:",
        _COMMITTEE + "test_an_alert_state_is_timed_once_however_often_the_log_has_it",
    ),
)  # fmt: skip

DELIVERING = (*_OF_WHAT_IS_TOLD, *_OF_THE_WEBHOOK, *_OF_LEDGERS)
