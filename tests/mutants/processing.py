"""Faults of link, integrate and what they read: leases, heartbeats, outboxes, refusals, and what is counted and logged."""

from mutants.mutant import Mutant

_PROCESSORS = "streams/test_processors.py::"
_READING = "streams/test_reading.py::"
_LOST_ANSWER = (
    _PROCESSORS
    + "test_a_commit_whose_answer_was_lost_is_neither_repeated_nor_taken_for_another_owner[lose_the_answer]"
)  # fmt: skip
_FAILED_BEFORE = (
    _PROCESSORS
    + "test_a_commit_whose_answer_was_lost_is_neither_repeated_nor_taken_for_another_owner[fail_before_the_commit]"
)
_STILL_KNOWN = _PROCESSORS + "test_a_heartbeat_that_waits_is_still_known_after_an_answer_was_lost"
_EVERY_PARTITION = _PROCESSORS + "test_a_heartbeat_waits_for_every_partition_that_it_names"
_AHEAD = "streams/test_deciding_ahead.py::"
_UNSENT = _PROCESSORS + "test_what_an_owner_did_not_send_is_sent_by_the_next_one"
_REFUSED = _PROCESSORS + "test_a_refused_chunk_moves_the_position_and_leaves_letters"
_BY_COLUMNS = "streams/test_feed_reading.py::test_unusual_records_deletions_and_refusals_stand_in_their_places"
_BAD = _READING + "test_a_bad_message_is_refused_with_its_reason_and_origin_and_its_neighbours_are_read"
_SETTLED = "projections/test_settled.py::test_the_small_story_settles_as_the_rules_say"
_LOGS = "infra/test_logs.py::"
_COUNTING = "streams/test_counting.py::"


def _link(fault: str, fragment: str, replacement: str, *killers: str) -> Mutant:
    return Mutant(fault, "saphan_streams.link", fragment, replacement, killers)


_ALONE = (
    "streams/test_worker_batches.py::"
    "test_a_message_that_breaks_the_code_is_refused_alone_and_its_neighbours_in_the_batch_are_folded"
)


_COLUMNS = "streams/test_batches_by_columns.py::"
_EDGES = _COLUMNS + "TestByColumns::test_a_number_is_written_as_the_codec_does_wherever_it_takes_one_byte_more"
_ANY_COLUMNS = _COLUMNS + "TestByColumns::test_any_messages_are_written_as_the_codec_does"


def _arrays(fault: str, fragment: str, replacement: str, *killers: str) -> Mutant:
    return Mutant(fault, "saphan_streams.avro_arrays", fragment, replacement, killers)


def _integrate(fault: str, fragment: str, replacement: str, *killers: str) -> Mutant:
    return Mutant(fault, "saphan_streams.integrate", fragment, replacement, killers)


def _reading(fault: str, fragment: str, replacement: str, *killers: str) -> Mutant:
    return Mutant(fault, "saphan_streams.feed_reading", fragment, replacement, killers)


def _columns(fault: str, fragment: str, replacement: str, *killers: str) -> Mutant:
    nodes = tuple(f"schemas/test_column_codec.py::{killer}" for killer in killers)
    return Mutant(fault, "saphan_schemas.column_codec", fragment, replacement, nodes)


def _screen(fault: str, fragment: str, replacement: str) -> Mutant:
    killer = "schemas/test_column_screen.py::test_a_record_with_something_wrong_in_it_is_a_suspect"
    return Mutant(fault, "saphan_schemas.column_screen", fragment, replacement, (killer,))


_OF_LINK = (
    _link(
        "link writes though another one took the lease",
        "keep_lease(transaction, APP, self._lease, settings.now_ms())", "pass",
        _PROCESSORS + "test_a_link_that_lost_its_lease_writes_nothing_although_no_partition_was_claimed_yet",
    ),
    _link(
        "the lease is not given up",
        "keep_lease(transaction, APP, self._lease, 0)",
        "keep_lease(transaction, APP, self._lease, self._settings.now_ms())",
        _PROCESSORS + "test_a_lease_that_was_given_up_is_free_at_once",
    ),
    _link(
        "the position is one message too far",
        "steps = [(self._claims[chunk.place], chunk.next_offset) for chunk in ours]",
        "steps = [(self._claims[chunk.place], chunk.next_offset + 1) for chunk in ours]", _REFUSED,
    ),
    _link(
        "a refused message leaves no letter",
        '[Refusal(record, "processing_failed", poison) for record in chunk.records]', "[]", _REFUSED,
    ),
    _link(
        "link's messages are not kept until they are sent",
        "outbox_no = put_outbox(transaction, APP, *ours[0].place, messages)",
        "outbox_no = 1 if messages else None", _LOST_ANSWER,
    ),
    _link(
        "link deletes messages before they are acknowledged",
        "messages)\n            delete_outbox(transaction, sent)",
        "messages)\n            delete_outbox(transaction, sent | {outbox_no})", _LOST_ANSWER,
    ),
    _link(
        "link never deletes what was sent",
        "messages)\n            delete_outbox(transaction, sent)", "messages)", _FAILED_BEFORE,
    ),
    _link(
        "the messages of a commit whose answer was lost stay unsent",
        "return pending_outbox(transaction, APP)\n", "return []\n", _LOST_ANSWER,
    ),
    _link(
        "link goes on with what it read ahead of a commit that failed",
        "def reset(self) -> None:\n        self._linker = None", "def reset(self) -> None:\n        return",
        _FAILED_BEFORE,
    ),
    Mutant(
        "a heartbeat passes before its end offsets are reached", "saphan_streams.passing",
        "if all(next_offsets", "if ends is not None or all(next_offsets", (_EVERY_PARTITION, _STILL_KNOWN),
    ),
    _link(
        "a heartbeat overtakes the records that it covers",
        "[*effects.messages, *said]", "[*said, *effects.messages]", _STILL_KNOWN,
    ),
    _link(
        "a heartbeat that waits is forgotten at a restart",
        "link_store.hold_heartbeats(transaction, heartbeats)", "pass", _EVERY_PARTITION,
    ),
    _link(
        "a heartbeat and a pair go to one partition only",
        "for part in parts:\n                part.append(message)", "parts[0].append(message)", _STILL_KNOWN,
    ),
    _link(
        "a worker's records go to different partitions",
        "parts[worker_no % count]", "parts[message.sequence % count]",
        "projections/test_settled.py::test_recomputed_alerts_equal_the_stored_ones", _SETTLED,
    ),
    _link(
        "who a record speaks of is in the key of its message",
        "OutgoingMessage(WORKER_RECORDS, number, None, value)",
        "OutgoingMessage(WORKER_RECORDS, number, messages[0].record_id.encode(), value)",
        _PROCESSORS + "test_no_key_of_a_message_says_whose_record_it_is",
    ),
    Mutant(
        "a heartbeat passes one message too early", "saphan_streams.passing",
        "0) >= end[", "0) + 1 >= end[",
        (_PROCESSORS + "test_a_heartbeat_passes_with_the_last_message_that_it_names_and_not_before",),
    ),
    Mutant(
        "a heartbeat passes when one of its partitions is read", "saphan_streams.passing",
        "if all(next_offsets", "if any(next_offsets", (_EVERY_PARTITION,),
    ),
    Mutant(
        "a replay believes heartbeats that promise more than the log holds", "saphan_streams.replay",
        "passed = passing(self._codec, self._heartbeats, self.next_offsets)", "passed = self._heartbeats",
        ("streams/test_replay.py::"
         "test_a_heartbeat_that_promises_more_than_the_log_holds_passes_neither_live_nor_in_a_replay",),
    ),
)  # fmt: skip

_OF_BATCHES = (
    _arrays(
        "a number of 64 bits is taken for a shorter one",
        "_SEVENS * (above != 0)", "_SEVENS * (above > 1)", _EDGES,
    ),
    _arrays("a column of nothing but zeros has no bytes", "// 7 or 1 for", "// 7 for", _EDGES),
    _arrays("the length of a text counts characters", "if joined.isascii():", "if joined:", _ANY_COLUMNS),
    _arrays(
        "a value of another type is written as it is",
        "if set(map(type, values)) != {kind}:", "if not kind:",
        _COLUMNS + "TestByColumns::test_what_the_codec_refuses_is_refused_in_its_words",
    ),
    Mutant(
        "what a message's bytes by hand are held against does not matter", "saphan_streams.avro_bytes",
        "if written != codec.encode(topic, record):", "if not written:",
        (_COLUMNS + "test_a_schema_that_is_another_one_is_noticed_before_anything_is_sent",
         "streams/test_told_alerts.py::test_a_schema_that_is_another_one_is_noticed_before_anything_is_sent"),
    ),
)  # fmt: skip

_OF_INTEGRATE = (
    _integrate(
        "what integrate left unsent stays unsent",
        "unsent = pending_outbox(transaction, APP, partitions)", "unsent = []", _UNSENT,
    ),
    _integrate(
        "integrate's messages are not kept until they are sent",
        "outbox_no = put_outbox(transaction, APP, chunk.topic, chunk.partition, messages)",
        "outbox_no = 1 if messages else None", _UNSENT,
    ),
    _integrate(
        "integrate deletes messages before they are acknowledged",
        "counts.append(done.counts)\n            delete_outbox(transaction, sent)",
        "counts.append(done.counts)\n            delete_outbox(transaction, sent | {number for number, _ in unsent})",
        _UNSENT,
    ),
    _integrate(
        "a message that breaks the code takes its batch with it",
        "for part in (part for record in chunk.records for part in parts_of(self._codec, record)):",
        "for part in chunk.records:", _ALONE,
    ),
    Mutant(
        "what a message wrote that breaks the code stays", "saphan_projections.database",
        'self.execute("ROLLBACK TO SAVEPOINT attempt")', "pass", (_ALONE,),
    ),
    _integrate(
        "integrate goes on with what it read ahead of a commit that failed",
        "for owned in self._partitions.values():\n            owned.integrator = None",
        "for owned in ():\n            owned.integrator = None", _FAILED_BEFORE,
        _AHEAD + "test_the_partitions_that_stay_are_decided_anew_when_a_fetch_loses_one_of_them[sqlite]",
    ),
    _integrate(
        "integrate decides while it holds the lock",
        "self._database.reading() as view", "self._database.transaction() as view",
        _AHEAD + "test_one_process_decides_while_another_is_in_its_transaction",
    ),
    _integrate(
        "what was decided is written though another owner came between",
        "moved = advance(transaction, APP, steps, self._settings.now_ms())",
        "moved = [held._replace(next_offset=next_offset) for held, next_offset in steps]",
        _AHEAD + "test_what_was_decided_before_another_owner_took_over_is_not_written[sqlite]",
    ),
    _integrate(
        "integrate decides on rows that another owner wrote",
        "if not all_stand(", "if all_stand is None and not all_stand(",
        _AHEAD + "test_a_former_owner_does_not_read_what_its_successor_wrote[sqlite]",
    ),
    _integrate(
        "that an employment was deleted is not published",
        "for alert in _withdrawn(effects, complete_until)", "for alert in ()",
        "projections/test_told.py::test_each_state_is_told_once",
    ),
    _integrate(
        "what is no news is published",
        "        if change.told\n    ]", "        if change\n    ]",
        "projections/test_told.py::test_new_evidence_alone_is_kept_and_not_told",
    ),
)  # fmt: skip

_OF_SCREEN = (
    _screen("a day in the Buddhist era is plain", "and max(filter(None, column), default=0) <= last", ""),
    _screen("a placeholder of blanks and dashes is plain", "if normal is column or", "if column or"),
    _screen("a key may carry a number of a person", "if n and n in key and", "if n == key and"),
    _screen("a record needs no number", "without = [at for", "without = [0 for"),
    _screen("what has to go together need not", "if not agrees(*row)}", "if agrees(*row) is None}"),
    _screen("an employment may end before it starts", "and end < start]", "and end < -start]"),
)  # fmt: skip

_LEFT = "test_a_message_that_is_unusual_is_left_to_the_other_way_wherever_it_stands"
_PLAIN = "test_a_plain_value_of_any_size_is_read"
_ACROSS = "test_a_text_that_ends_in_the_next_message_is_left_to_the_other_way"
_IDS = "test_only_the_newest_structure_is_decoded_by_columns_under_whatever_id"

_OF_COLUMNS = (
    _columns(
        "a message need not end where its bytes end",
        "if (self._at != self._ends).any():", "if (self._at < self._ends).any():", _LEFT,
    ),
    _columns(
        "only the last message of a batch has to end where its bytes end",
        "if (self._at != self._ends).any():", "if self._at[-1] != self._ends[-1]:", _LEFT,
    ),
    _columns("a text may end in the next message", "(numbers > ends - at).any()", "False", _ACROSS, _LEFT),
    _columns("a text may have fewer characters than none", "numbers.min() < 0 or ", "", _LEFT),
    _columns("any branch but null has a value", "given = branches == 2", "given = branches != 0", _LEFT),
    _columns("any byte but 0 is true", "if truths.max() > 1:", "if truths.max() > 255:", _LEFT),
    _columns(
        "texts of other alphabets stay as they were taken", "!= self._high_count:", "< self._high_count:", _PLAIN,
    ),
    _columns(
        "a message of another schema is read as its neighbours are",
        "first != int.from_bytes(", "first != first + 0 * int.from_bytes(",
        "test_another_header_or_a_part_of_it_is_left_to_the_other_way",
    ),
    _columns("a text of eight bytes is one of seven", "sizes.max() < _WORD_BYTES:", "sizes.max() <= _WORD_BYTES:", _PLAIN),
    _columns("who has no value gets the last one", "takes = np.full(len(branches), count)",
             "takes = np.full(len(branches), count - 1)", _PLAIN),
    Mutant(
        "what an older version wrote is read as the newest", "saphan_schemas.codec",
        "flat_fields(written) if written == newest else ()", "flat_fields(written)",
        ("schemas/test_column_codec.py::" + _IDS,),
    ),
)  # fmt: skip

_OF_READING = (
    _reading(
        "a field that this version does not know is not seen by columns",
        "or not has_fields_of(feed, columns)", "",
        "streams/test_feed_reading.py::"
        "test_records_with_a_field_that_this_version_does_not_know_are_looked_at_one_by_one",
    ),
    _reading(
        "what cannot be decoded is dropped in silence",
        "refusals.append((index, value.reason, value.detail))", "pass", _BAD,
    ),
    _reading(
        "a record under another record's key is read",
        'if key != value["record_id"].encode():', 'if key == b"":', _BAD,
    ),
    _reading(
        "nobody looks whether the keys of a chunk are its records' own",
        "suspects.update(with_others, _under_another_key(keys, columns[\"record_id\"]))", "pass", _BAD,
    ),
    _reading(
        "an invalid record is read",
        "return _error(feed, value)", "return None", _BAD,
    ),
    _reading(
        "a message of any size is read",
        'return len(payload or b"") > message_bytes_max', "return False", _BAD,
    ),
    _reading(
        "a heartbeat under any key is believed",
        'if key is None or key != value["feed"].encode():', "if key is None:",
        _READING + "test_a_heartbeat_is_keyed_by_the_feed_that_it_speaks_of",
    ),
    Mutant(
        "a dead letter bears the key of the message", "saphan_streams.reading",
        'key = "-".join(map(str, place)).encode()', "key = record.key", (_BAD,),
    ),
    _reading(
        "a dead letter says what was found",
        'f"field {problem.field}: expected {problem.expected}"',
        'f"field {problem.field}: found {problem.found}, expected {problem.expected}"',
        _READING + "test_the_detail_of_a_refusal_tells_nothing_of_the_content",
    ),
    _reading(
        "the content of a record changes with the schema's number",
        "signed_hashes([payload[HEADER_BYTES:] for payload in payloads])", "signed_hashes(payloads)",
        _READING + "test_the_content_of_a_record_is_the_same_whatever_number_its_schema_has",
    ),
    _reading(
        "a record that is unusual is known by what its column says",
        "signatures[at] = signature_of(feed, record_at(at))", "pass", _BY_COLUMNS,
    ),
    _reading(
        "a deleted record still belongs to somebody",
        "if True not in deleted:", "if deleted:", _BY_COLUMNS,
    ),
    _reading(
        "what is refused for its content comes after what cannot be read",
        "refusals=sorted(refusals)", "refusals=refusals", _BY_COLUMNS,
    ),
    *_OF_SCREEN,
    Mutant(
        "a message of an unknown or another schema is read by the newest", "saphan_schemas.codec",
        "writer = self.catalogue.find(topic, schema_id)",
        "writer = self.catalogue.find(topic, schema_id) or self.catalogue.latest(topic)", (_BAD,),
    ),
)  # fmt: skip

_OF_NUMBERS = (
    Mutant(
        "a chunk counts as one event", "saphan_streams.counting",
        "FEED_EVENTS.labels(read.feed).inc(read.events)", "FEED_EVENTS.labels(read.feed).inc()",
        (_COUNTING + "test_what_link_committed_is_counted",),
    ),
    Mutant(
        "refusals are not counted", "saphan_streams.counting",
        'REJECTED.labels("link", feed, reason).inc()', "pass",
        (_COUNTING + "test_what_link_committed_is_counted",),
    ),
    Mutant(
        "alerts that are told are not counted by their state", "saphan_streams.counting",
        "ALERT_EVENTS.labels(state).inc()", 'ALERT_EVENTS.labels("due").inc()',
        (_COUNTING + "test_what_integrate_committed_is_counted",),
    ),
    Mutant(
        "a feed that is silent is forgotten at a restart", "saphan_streams.counting",
        "saw_heartbeat(feed, (row.complete_until if row else None) or 0)", "pass",
        (_COUNTING
         + "test_a_feed_that_fell_silent_before_a_restart_is_as_old_as_its_last_word_and_one_that_never_spoke_older",),
    ),
    Mutant(
        "a library says the same for ever", "saphan_infra.log_repeats",
        "return Verdict(lines < LINES_MAX, left_out)", "return Verdict(True, left_out)",
        ("infra/test_log_repeats.py::"
         "test_a_library_that_says_the_same_for_a_day_writes_some_hundred_lines_that_count_the_rest",),
    ),
    Mutant(
        "a person's number is in the log", "saphan_infra.logs",
        "return _PERSONAL.sub(MASK, text)", "return text",
        (_LOGS + "test_a_number_is_hidden_wherever_it_stands",),
    ),
    Mutant(
        "a person's name is in the log", "saphan_infra.logs",
        "if key in personal_fields() and value is not None:", "if value is MASK:",
        (_LOGS + "test_a_field_of_a_person_is_hidden_by_its_name",),
    ),
    Mutant(
        "the bytes of a message are in the log", "saphan_infra.logs",
        'return f"[{len(value)} bytes]" if isinstance(value, bytes | bytearray | memoryview) else', "return",
        (_LOGS + "test_message_bytes_are_never_shown",),
    ),
)  # fmt: skip

PROCESSING = (*_OF_LINK, *_OF_BATCHES, *_OF_INTEGRATE, *_OF_COLUMNS, *_OF_READING, *_OF_NUMBERS)
