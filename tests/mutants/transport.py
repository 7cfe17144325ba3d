"""Faults of the way: who may write, where to read on, what is sent, and what happens when something fails."""

from mutants.mutant import Mutant

_DATABASE = "projections/test_database.py::"
_OFFSETS = "projections/test_offsets.py::"
_SHELL = "streams/test_shell.py::"
_WAITS = "streams/test_shell_waits.py::"
_RELAY = "streams/test_relay.py::"
_TRANSPORT = "streams/test_transport.py::"
_CLAIMED = _OFFSETS + "test_an_owner_whose_partition_was_claimed_cannot_write_any_more[sqlite]"
_STEP = _OFFSETS + "test_a_step_that_was_committed_before_is_told_as_such[sqlite]"
_TOGETHER = _OFFSETS + "test_several_partitions_move_together_or_none_of_them_does[sqlite]"
_LEASE = _OFFSETS + "test_one_process_holds_the_lease_until_it_is_over_given_up_or_taken_by_its_own_successor[sqlite]"
_OUTBOX = (
    _OFFSETS + "test_the_outbox_keeps_messages_by_source_partition_in_order_until_they_are_deleted[sqlite]"
)  # fmt: skip
_POISON = _SHELL + "test_a_message_that_breaks_the_code_is_refused_and_all_others_processed"
_NEITHER = (
    _SHELL
    + "test_a_message_that_can_neither_be_processed_nor_refused_holds_the_partition_instead_of_being_lost"
)  # fmt: skip
_AWAY = _SHELL + "test_a_chunk_waits_while_the_database_is_away_and_is_then_processed_once"
_REFUSES = _SHELL + "test_a_database_that_refuses_for_want_of_rights_is_waited_for_and_no_message_is_blamed"
_OVERTAKEN = _SHELL + "test_an_assignment_that_a_stop_overtakes_takes_nothing_that_was_given_up"
_ORDER = _RELAY + "test_the_order_is_kept_while_the_broker_fails"
_FOUND = "streams/test_found_by_simulation.py::"
_PLAIN = "streams/test_plain_records.py::"
_ASKED = _PLAIN + "test_whatever_is_asked_for_at_a_time_it_is_what_aiokafka_gives"
_SEEK = _TRANSPORT + "test_what_was_fetched_before_a_seek_is_trimmed_and_not_handed_over_twice"


def _offsets(fault: str, fragment: str, replacement: str, *killers: str) -> Mutant:
    return Mutant(fault, "saphan_projections.offsets", fragment, replacement, killers)


def _shell(fault: str, fragment: str, replacement: str, *killers: str) -> Mutant:
    return Mutant(fault, "saphan_streams.shell", fragment, replacement, killers)


def _relay(fault: str, fragment: str, replacement: str, *killers: str) -> Mutant:
    return Mutant(fault, "saphan_streams.relay", fragment, replacement, killers)


def _transport(fault: str, fragment: str, replacement: str, *killers: str) -> Mutant:
    return Mutant(fault, "saphan_streams.transport", fragment, replacement, killers)


def _plain(fault: str, fragment: str, replacement: str, *killers: str) -> Mutant:
    return Mutant(fault, "saphan_streams.plain_records", fragment, replacement, killers)


_OF_OWNERS = (
    _offsets(
        "the epoch of an owner is not compared",
        "AND owner_epoch = ? AND next_offset = ?", "AND owner_epoch >= 0 * ? AND next_offset = ?", _CLAIMED,
    ),
    _offsets(
        "the position that a chunk begins at is not compared",
        "AND owner_epoch = ? AND next_offset = ?", "AND owner_epoch = ? AND next_offset >= 0 * ?", _STEP,
    ),
    _offsets(
        "a claim raises no epoch",
        "SET owner_epoch = source_offset.owner_epoch + 1", "SET owner_epoch = source_offset.owner_epoch", _CLAIMED,
    ),
    _offsets(
        "a claim begins at the beginning",
        "SET owner_epoch = source_offset.owner_epoch + 1",
        "SET next_offset = 0, owner_epoch = source_offset.owner_epoch + 1",
        _OFFSETS + "test_a_partition_goes_on_where_it_was_whoever_claims_it[sqlite]",
    ),
    _offsets(
        "a step of one's own that was committed is taken for another owner's",
        "if touched or standing.get((held.topic, held.partition)) != reached:", "if found:", _STEP,
    ),
    _offsets(
        "a step that another owner committed is taken for one's own",
        "standing = {(topic, partition): (epoch, next_offset) for", "standing = {(topic, partition): (steps[0][0].epoch, next_offset) for", _CLAIMED,
    ),
    _offsets(
        "another owner's lease is ignored",
        "if holder != owner and now_ms - renewed_at < lease_ms:", "if holder != owner and now_ms < 0:", _LEASE,
    ),
    _offsets(
        "a lease never runs out",
        "if holder != owner and now_ms - renewed_at < lease_ms:", "if holder != owner:", _LEASE,
    ),
    _offsets(
        "the epoch of a lease is not compared",
        "partition = 0 AND owner_epoch = ?", "partition = 0 AND owner_epoch >= 0 * ?", _LEASE,
    ),
    _offsets(
        "unsent rows are read in another order",
        "return sorted(found, key=lambda row: row[0])", "return sorted(found, key=lambda row: -row[0])", _OUTBOX,
    ),
    _offsets(
        "another partition's unsent rows are sent as well",
        "or (topic, partition) in wanted", "or wanted", _OUTBOX,
    ),
    _offsets(
        "rows that were sent are kept",
        "transaction.delete(OutboxRow, [(number,) for number in outbox_numbers])", "pass", _OUTBOX,
    ),
    _offsets(
        "a part of a chunk that comes again puts the position back",
        "for held, next_offset in steps if next_offset > held.next_offset)", "for held, next_offset in steps)",
        _FOUND + "test_a_part_of_a_chunk_that_comes_again_does_not_put_the_position_back",
    ),
    _offsets(
        "some partitions of a fetch move although others were committed before",
        "if touched or standing", "if standing", _TOGETHER,
    ),
    _offsets(
        "an owner whose claim was taken drops everything for ever",
        "for row in claims} - set(rows)", "for row in claims[:0]} - set(rows)",
        _FOUND
        + "test_an_owner_whose_claim_was_taken_by_one_that_came_late_leaves_instead_of_dropping_everything",
    ),
    Mutant(
        "the number of an outbox row is given again", "saphan_projections.tables",
        '__table_args__ = {"sqlite_autoincrement": True}', "__table_args__: dict[str, bool] = {}",
        ("projections/test_migrations.py::test_sqlite_gives_the_number_of_an_outbox_row_only_once",),
    ),
    Mutant(
        "a row gives way to one of the same age", "saphan_projections.statements",
        """' WHERE excluded."{newer_by}" > {table.name}""", """' WHERE excluded."{newer_by}" >= {table.name}""",
        (_DATABASE + "test_a_row_gives_way_only_to_a_newer_one[sqlite-20]",),
    ),
    Mutant(
        "a question that no waiting will answer is waited for", "saphan_projections.outages",
        "return not any(words in str(said)", "return bool(said) or not any(words in str(said)",
        (_DATABASE + "test_a_question_that_no_waiting_will_answer_is_not_called_away[sqlite]",),
    ),
    Mutant(
        "a server that cannot write its files is blamed on the message", "saphan_projections.outages",
        '"58", "XX"', '"58"',
        ("projections/test_found_by_chaos.py::"
         "test_a_server_that_cannot_write_its_files_is_waited_for_and_no_message_is_blamed",),
    ),
    Mutant(
        "a server that never answers is blamed on the message", "saphan_projections.outages",
        "return isinstance(said, psycopg.OperationalError | psycopg.InterfaceError)",
        "return type(said) is psycopg.OperationalError",
        (_DATABASE + "test_a_server_that_accepts_and_never_answers_is_away",),
    ),
    Mutant(
        "a locked file is no outage", "saphan_projections.outages",
        "return not any(words in str(said)", "return not said and not any(words in str(said)",
        (_DATABASE + "test_a_sqlite_file_that_is_locked_or_lies_nowhere_is_away",),
    ),
)  # fmt: skip

_OF_THE_SHELL = (
    _shell(
        "an agent raises",
        "except Exception as error:  # noqa: BLE001 - whatever a message does", "except LookupError as error:  #",
        _POISON,
    ),
    _shell(
        "a chunk that fails is acknowledged and lost",
        "return not self._stopping and await self._isolate(fetch, error)", "return True", _POISON,
    ),
    _shell(
        "a message that breaks the code takes its neighbours with it",
        "if not others and len(first.records) == 1:", "if not others:", _POISON,
    ),
    _shell(
        "the first message behind the middle of a halved chunk is lost",
        "chunk.records[middle:]", "chunk.records[middle + 1 :]", _POISON,
    ),
    _shell(
        "a message that cannot be refused is passed over",
        "pause_seconds = await self._pause(what, chunk, error, pause_seconds)\n\n",
        "return True\n\n", _NEITHER,
    ),
    _shell(
        "what follows a message that was not ours is committed over it",
        "if not is_passed and not others:", "if not first:",
        _SHELL + "test_what_follows_a_message_that_was_another_owners_just_then_is_left_to_be_read_again",
    ),
    _shell(
        "a database that is away is taken for a bad message",
        "self._in_thread(work)\n                except DatabaseUnavailable as away:",
        "self._in_thread(work)\n                except TimeoutError as away:", _AWAY,
    ),
    _shell(
        "a process on its way out takes again what it gave up",
        "if self._stopping:\n            raise _Leaving\n        result", "result",
        _OVERTAKEN,
    ),
    _shell(
        "a claim that a stop overtakes begins to send and to read",
        "if self._stopping:\n            raise _Leaving\n        return result", "return result", _OVERTAKEN,
    ),
    _shell(
        "a right that was taken away is blamed on the message",
        "if not may_blame_a_message(error):", "if error is None:", _REFUSES,
    ),
    _shell(
        "what was read ahead of a commit that failed is kept",
        'self._processor.reset()\n                    log.warning("waiting for the database"',
        'log.warning("waiting for the database"', _AWAY,
    ),
    _shell(
        "another owner's chunk is taken for a bad message",
        "await self._commit(fetch, None)\n            except Fenced as fenced:",
        "await self._commit(fetch, None)\n            except TimeoutError as fenced:",
        _SHELL + "test_a_chunk_of_a_partition_that_another_owner_took_is_dropped_and_the_next_one_processed",
    ),
    _shell(
        "what a predecessor left unsent stays unsent",
        "for outbox_no, messages in resumed.unsent:", "for outbox_no, messages in resumed.unsent[:0]:",
        _SHELL + "test_what_a_predecessor_left_unsent_goes_out_first_and_once",
    ),
    _shell(
        "a partition is read from its beginning whatever the database says",
        "return max(claim.next_offset, first)", "return first",
        _SHELL + "test_a_partition_is_read_on_where_the_database_says",
    ),
    _shell(
        "a partition is read on one message too far",
        "return max(claim.next_offset, first)", "return max(claim.next_offset + 1, first)",
        _SHELL + "test_a_partition_is_read_on_where_the_database_says",
    ),
    _shell(
        "messages that the log lost are passed over",
        "or 0 < claim.next_offset < first:", "or claim.next_offset < 0:",
        _SHELL + "test_a_log_that_lost_messages_is_not_read_on_in_silence",
    ),
    _shell(
        "a log that was emptied is read on",
        "if claim.next_offset > end or", "if claim.next_offset < 0 or",
        _SHELL + "test_a_log_that_lost_messages_is_not_read_on_in_silence",
    ),
    _shell(
        "the lease is not given up at the end",
        "await asyncio.get_running_loop().run_in_executor(self.thread, self._processor.release)", "pass",
        _SHELL + "test_a_chunk_that_comes_after_the_stop_is_left_for_the_next_start",
    ),
    _shell(
        "rows that were sent are forgotten when their deletion failed",
        "self._relay.put_back(sent)\n            raise", "raise",
        _SHELL + "test_rows_whose_deletion_failed_with_their_chunk_are_deleted_with_the_next_one",
    ),
    _shell(
        "rows that were sent are forgotten when the database was away between chunks",
        "self._relay.put_back(sent)\n            if not isinstance", "if not isinstance",
        _SHELL + "test_rows_that_could_not_be_deleted_between_chunks_are_deleted_with_the_next_one",
    ),
    _shell(
        "a process is up since its last rebalance",
        "if not self._is_ready:", "if self.name:",
        _SHELL + "test_the_shell_is_ready_with_its_first_assignment_and_is_not_said_to_be_so_again",
    ),
    _shell(
        "a database that is away is not shown",
        "with self._database.under_way():", "if self.name:",
        _WAITS + "test_how_long_the_database_has_been_away_is_shown_until_it_is_back",
    ),
    _shell(
        "a database that refuses is not shown",
        "self._database.note(is_answered=False)", "pass",
        _WAITS + "test_how_long_the_database_has_been_refusing_is_shown_until_it_takes_something",
    ),
    _shell(
        "a fetch's messages are not handed to the relay",
        "for outbox_no, messages in unsent:", "for outbox_no, messages in unsent[:0]:", _AWAY,
    ),
    _shell(
        "what came with a chunk that another owner took is dropped with it",
        "if len(fetch) == 1:\n            log.warning", "if fetch:\n            log.warning",
        _SHELL + "test_of_a_fetch_only_the_chunk_that_another_owner_took_is_dropped",
    ),
    _shell(
        "of a fetch that breaks the code only the first partitions are looked at",
        "return fetch[:middle], fetch[middle:]", "return fetch[:middle], fetch[:middle]",
        _SHELL + "test_a_message_that_breaks_the_code_is_found_whichever_partition_it_came_from",
    ),
)  # fmt: skip

_OF_THE_RELAY = (
    _relay(
        "a row that was handed over is sent again",
        "if outbox_no not in self._known:", "if outbox_no >= 0:",
        _RELAY + "test_a_row_that_was_handed_over_is_not_taken_again_until_its_deletion_is_committed",
    ),
    _relay(
        "a row whose handing over was given up is never sent",
        "self._known.discard(outbox_no)", "pass",
        _RELAY + "test_a_row_whose_handing_over_was_given_up_is_sent_when_it_is_handed_over_again",
    ),
    _relay(
        "what the broker did not take is dropped",
        "await asyncio.sleep(pause_seconds)", "break", _ORDER,
    ),
    _relay(
        "an error that nobody thought of ends the relay",
        "except Exception as error:", "except LookupError as error:",
        _RELAY + "test_an_error_that_nobody_thought_of_does_not_end_the_relay",
    ),
    _relay(
        "the newest row is sent first",
        "asyncio.Queue(_WAITING_MAX)", "asyncio.LifoQueue(_WAITING_MAX)", _ORDER,
    ),
    _relay(
        "who commits does not wait though nothing is sent",
        "asyncio.Queue(_WAITING_MAX)", "asyncio.Queue()", _RELAY + "test_who_commits_waits_while_too_much_is_unsent",
    ),
    _relay(
        "a row counts as sent before the broker has acknowledged it",
        "await self._send(messages)", "self._sent.add(outbox_no)\n            await self._send(messages)",
        _RELAY + "test_a_row_counts_as_sent_only_when_the_broker_has_acknowledged_it",
    ),
    _relay(
        "link does not say how far it is behind",
        "if not headers:",
        "if headers is not None:",
        _RELAY + "test_what_leaves_carries_what_is_to_be_said_at_that_moment_and_stays_the_same_message",
    ),
    Mutant(
        "a key's partition depends on what leaves with it", "saphan_infra.producer",
        "(k ^ k >> 24 & low)", "(k ^ k >> 24)",
        ("infra/test_producer.py::test_keys_hash_as_in_kafkas_own_clients",),
    ),
)  # fmt: skip

_OF_THE_TRANSPORT = (
    _transport(
        "the first message after a seek is dropped",
        "if record.offset >= expected]", "if record.offset > expected]", _SEEK,
    ),
    _transport(
        "what was fetched before a seek is handed over again",
        "if expected is not None and piece[0].offset < expected:", "if expected is not None and piece[0].offset < 0:",
        _SEEK,
    ),
    _transport(
        "what was fetched for an older assignment is handed over",
        "if not self.flow_active or self.app.consumer_generation_id != generation:", "if not self.flow_active:",
        _TRANSPORT + "test_what_was_fetched_for_an_older_assignment_is_left_alone",
    ),
    _transport(
        "only the first partition of a fetch is reported to the broker",
        "for chunk in fetch[1:]:", "for chunk in ():",
        _TRANSPORT + "test_what_one_fetch_brought_of_several_partitions_is_one_event_and_is_acknowledged_together",
    ),
    _transport(
        "each fetch is an event of its own, however busy the agent is",
        "if self._is_agent_busy():", "if self._is_agent_busy() and not waiting.has_room:",
        _TRANSPORT + "test_what_comes_while_the_agent_is_busy_is_one_event_up_to_the_limits",
    ),
    _transport(
        "what waits goes on into the next assignment",
        "waiting.clear()\n                    generation", "generation",
        _TRANSPORT + "test_what_waits_is_forgotten_with_its_assignment",
    ),
    _transport(
        "an event that Faust dropped holds up the partition for ever",
        "return any(not message.acked for message in self._unacked_messages)", "return bool(self.messages)",
        _TRANSPORT + "test_an_event_that_faust_dropped_does_not_hold_up_what_waits",
    ),
    _transport(
        "a chunk is followed by its own last message",
        "return int(self.records[-1].offset) + 1", "return int(self.records[-1].offset)",
        _TRANSPORT + "test_a_chunk_carries_its_place_and_where_to_read_on_also_after_a_gap",
    ),
    _transport(
        "offsets are counted, not read",
        "return int(self.records[-1].offset) + 1", "return int(self.records[0].offset) + len(self.records)",
        _TRANSPORT + "test_a_chunk_carries_its_place_and_where_to_read_on_also_after_a_gap",
    ),
    _transport(
        "the broker is told of one message too few",
        "return newest + 1", "return newest",
        _TRANSPORT
        + "test_what_is_reported_to_the_broker_is_after_the_last_acknowledged_chunk_and_only_once",
    ),
)  # fmt: skip

_OF_FETCHES = (
    _plain(
        "more of a batch is handed over than was asked for",
        "None if records_max is None else records_max - len(found)", "None", _ASKED,
    ),
    _plain(
        "the position stays behind what was handed over",
        "found[-1].offset + 1", "found[0].offset + 1", _ASKED,
    ),
    _plain(
        "what is left of a batch is lost",
        "if max_records is None or len(found) < max_records:", "if found:", _ASKED,
    ),
    _plain(
        "what a consumer fetched before it was told to seek is handed over",
        " or not self.check_assignment(self._topic_partition)", "",
        _PLAIN + "test_what_was_fetched_before_a_seek_is_not_handed_over",
    ),
)  # fmt: skip

TRANSPORT = (*_OF_OWNERS, *_OF_THE_SHELL, *_OF_THE_RELAY, *_OF_THE_TRANSPORT, *_OF_FETCHES)
