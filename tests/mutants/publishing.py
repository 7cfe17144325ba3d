"""Faults at the edge: eras, numbers, money, what is rejected and told, and when a feed may be called complete."""

from mutants.mutant import Mutant

_DATES = "publishers/test_publisher_dates.py::"
_CLEANING = "publishers/test_cleaning.py::"
_LINES = "publishers/test_json_lines.py::"
_SENDING = "publishers/test_delivering.py::"
_NO_RECORD = _LINES + "test_a_line_that_is_no_record_never_stops_the_file"
_ACCOUNTED = _LINES + "test_any_mix_of_good_and_bad_rows_is_accounted_for"
_BAD_VALUE = _LINES + "test_a_bad_value_is_told_with_its_field_and_code"


def _dates(fault: str, fragment: str, replacement: str, *killers: str) -> Mutant:
    return Mutant(fault, "saphan_publishers.dates", fragment, replacement, killers)


def _publishing(fault: str, fragment: str, replacement: str, *killers: str) -> Mutant:
    return Mutant(fault, "saphan_publishers.publishing", fragment, replacement, killers)


_OF_DATES = (
    _dates(
        "a Buddhist year in a common-era column is corrected in silence",
        'if era == "CE" and _ERA_BORDER < year <= _YEAR_MAX + _BE_SHIFT:\n        raise Unreadable(',
        'if era == "CE" and _ERA_BORDER < year <= _YEAR_MAX + _BE_SHIFT:\n        return year - _BE_SHIFT\n'
        "    if year < 0:\n        raise Unreadable(",
        _DATES + "test_a_buddhist_year_in_a_common_era_column_is_told_as_such",
    ),
    _dates(
        "a common-era year in a Buddhist column is corrected in silence",
        'if era == "BE" and _YEAR_MIN <= year <= _YEAR_MAX:\n        raise Unreadable(',
        'if era == "BE" and _YEAR_MIN <= year <= _YEAR_MAX:\n        return year\n    if year < 0:\n        raise Unreadable(',
        _DATES + "test_a_common_year_in_a_buddhist_column_is_told_as_such",
    ),
    _dates(
        "the leap days of the Buddhist era are those of its own numbers",
        "return date_to_days(date(year, month, day))",
        "return date_to_days(date(year + _BE_SHIFT, month, day).replace(year=year))",
        _DATES + "test_the_leap_day_of_a_buddhist_year_is_a_day",
    ),
    _dates(
        "a two-digit Buddhist year is of the 25th century",
        '{"BE": 2500, "CE": None}', '{"BE": 2400, "CE": None}',
        _DATES + "test_a_two_digit_buddhist_year_69_is_2026",
    ),
    _dates(
        "an unknown day is taken for the first one",
        "if form.unknown_parts is None:", 'if form.unknown_parts == "never":',
        _DATES + "test_an_unknown_day_is_refused_until_the_mapping_says_what_it_means",
    ),
    _dates(
        "a day that a person names begins at midnight in Greenwich",
        "return bangkok_midnight_ms(iso_day(text))", "return iso_day(text) * 86_400_000",
        _DATES + "test_a_day_named_by_a_person_begins_at_midnight_in_bangkok",
    ),
    _dates(
        "a written time is Greenwich's",
        "tzinfo=_BANGKOK)", "tzinfo=timezone.utc)", _DATES + "test_a_written_time_is_bangkok_time",
    ),
    Mutant(
        "the rules take a Buddhist year", "saphan_schemas.value_checks",
        "if FIRST_DAY <= day <= LAST_DAY:", "if FIRST_DAY <= day:",
        ("streams/test_reading.py::"
         "test_a_bad_message_is_refused_with_its_reason_and_origin_and_its_neighbours_are_read"
         "[invalid_buddhist_era]",),
    ),
)  # fmt: skip

_OF_NUMBERS = (
    Mutant(
        "a company's number is taken for a person's", "saphan_schemas.value_checks",
        """yield error(name, text, "a person's number; this one is a company's""",
        """yield warning(name, text, "a person's number; this one is a company's""",
        (_LINES + "test_a_company_number_that_looks_like_a_person_is_rejected",),
    ),
    Mutant(
        "a company's number joins people", "saphan_schemas.identifiers",
        'person_number_kind(text) == "person"', 'person_number_kind(text) in {"person", "juristic"}',
        ("schemas/test_identifiers.py::test_a_company_number_with_its_right_check_digit_is_no_person",),
    ),
    Mutant(
        "a placeholder is a document number", "saphan_schemas.identifiers",
        "if _DOCUMENT_NUMBER(text) is None or text in SPECIMENS:", "if _DOCUMENT_NUMBER(text) is None:",
        ("schemas/test_identifiers.py::test_placeholders_are_seen_and_never_join",),
    ),
    Mutant(
        "a number that starts with 00 loses its zeros", "saphan_publishers.cells",
        '_SEPARATORS.sub("", text).zfill(pad)', '_SEPARATORS.sub("", text).lstrip("0").zfill(pad)',
        (_CLEANING + "test_dashes_in_numbers_go_and_leading_zeros_stay",),
    ),
    Mutant(
        "a number that lost its zeros is taken as it is", "saphan_publishers.cells",
        "if is_number and len(plain) < digits:", "if is_number and len(plain) < 0:",
        (_CLEANING + "test_a_number_that_lost_its_leading_zeros_in_a_spreadsheet_is_refused_not_repaired",),
    ),
    Mutant(
        "half a baht is five satang", "saphan_publishers.cells",
        '.ljust(2, "0")', '.rjust(2, "0")', (_CLEANING + "test_baht_become_satang_without_rounding",),
    ),
    Mutant(
        "a person's number may be a record's id", "saphan_schemas.record_checks",
        'yield error("record_id", text, KEY_ADVICE, "key_carries_person")',
        'yield warning("record_id", text, KEY_ADVICE, "key_carries_person")',
        (_LINES + "test_a_persons_number_as_key_is_rejected",),
    ),
    Mutant(
        "a message is keyed by the person's number", "saphan_publishers.messages",
        'return self._made(record, record_id, ce_id, record["changed_at"])',
        'return self._made(record, record.get("non_thai_id") or record_id, ce_id, record["changed_at"])',
        (_LINES + "test_a_record_is_published_whole_under_its_own_id",),
    ),
    Mutant(
        "an id is hashed without the key", "saphan_publishers.record_ids",
        "hashlib.blake2b(text, key=self._key, digest_size=_DIGEST_BYTES)",
        "hashlib.blake2b(text, digest_size=_DIGEST_BYTES)",
        ("publishers/test_delimited_files.py::test_another_key_gives_another_id",),
    ),
)  # fmt: skip

_OF_ROWS = (
    _publishing(
        "a bad row is dropped in silence",
        "self._report.row(row, problems, rejected=item is None)", "pass", _BAD_VALUE,
    ),
    _publishing(
        "a rejected row is not counted",
        "outcome.rejected += 1", "outcome.rejected += 0", _ACCOUNTED, _NO_RECORD,
    ),
    _publishing(
        "the last rows of a file are lost",
        "# Also what was good before a file broke off goes out.\n        yield chunk",
        "# Also what was good before a file broke off goes out.\n        yield chunk[:0]",
        _LINES + "test_a_record_is_published_whole_under_its_own_id",
    ),
    _publishing(
        "a feed with rejected rows is called complete",
        "if feed in incomplete:", "if feed in incomplete and not feed:",
        _SENDING + "test_a_feed_with_rejected_rows_is_not_called_complete_unless_told_to",
    ),
    Mutant(
        "a line that is no JSON stops the file", "saphan_publishers.json_lines",
        "yield Row(number, raw, None, [_not_json(text, error)])\n            continue",
        "yield Row(number, raw, None, [_not_json(text, error)])\n            return", (_NO_RECORD,),
    ),
    Mutant(
        "a bad row is published", "saphan_publishers.validation",
        'return any(problem.severity == "error" for problem in problems)', "return False", (_BAD_VALUE,),
    ),
    Mutant(
        "a row with a warning is rejected", "saphan_publishers.validation",
        'return any(problem.severity == "error" for problem in problems)', "return bool(problems)",
        (_LINES + "test_a_00_number_with_another_check_digit_is_a_warning_only",),
    ),
    Mutant(
        "of two rows that contradict each other the first is published", "saphan_publishers.repeats",
        "return self._contents[place] == mark", "return True",
        ("publishers/test_delimited_files.py::"
         "test_a_row_that_contradicts_an_earlier_one_is_rejected_where_the_file_has_no_versions",),
    ),
    Mutant(
        "two records with like hashes are taken for one", "saphan_publishers.repeats",
        'identity = int.from_bytes(digest, "big") or 1', 'identity = int.from_bytes(digest[:5], "big") | 1 << 39',
        ("publishers/test_file_versions.py::"
         "test_ids_whose_hashes_are_alike_in_their_first_bytes_are_two_records",),
    ),
    Mutant(
        "a file's heartbeat goes out though rows of its feed were rejected", "saphan_publishers.heartbeats",
        "if feed not in incomplete:", "if feed:",
        (_SENDING + "test_a_heartbeat_in_a_directory_waits_for_the_rejected_rows_of_its_feed",),
    ),
    Mutant(
        "a program's heartbeat goes out though its records were refused", "saphan_publishers.publisher",
        "if refused_records and not anyway:", "if not self.feed:",
        ("publishers/test_publisher_class.py::test_a_heartbeat_is_withheld_until_every_refused_record_was_published",),
    ),
    Mutant(
        "a heartbeat about the future is believed", "saphan_schemas.heartbeat_rules",
        "told = error if complete_until_ms - sent_at_ms > CLOCKS_DIFFER_MS_MAX else warning", "told = warning",
        ("streams/test_reading.py::test_a_heartbeat_about_the_future_is_refused_and_those_around_it_count",
         "publishers/test_publisher_class.py::"
         "test_a_heartbeat_that_nobody_could_believe_is_refused_and_nothing_is_sent"
         "[2099-01-01T00:00:00+07:00]"),
    ),
    Mutant(
        "a heartbeat names no end offsets", "saphan_publishers.heartbeats",
        "for partition, offset in sorted(ends.items())]", "for partition, offset in ()]",
        (_SENDING + "test_a_heartbeat_names_the_ends_of_the_feed_after_the_last_row",),
    ),
)  # fmt: skip

_OF_CLOCKS = (
    _publishing(
        "a heartbeat of a file is believed about the future", "problems = [*problems, *unbelievable(record, now)]",
        "pass",
        _SENDING + "test_a_heartbeat_of_a_file_is_held_against_the_clock_whatever_time_of_sending_it_states",
    ),
)  # fmt: skip

_STRAY = "publishers/test_stray_quotes.py::"
_CARRIED = "publishers/test_carried_numbers.py::"
_ADMISSION = "publishers/test_admission.py::"

_DAMAGED = "publishers/test_damaged_monthly_file.py::"

_OF_ADMISSION = (
    Mutant(
        "rejected rows are kept under the count of the whole month", "saphan_publishers.monthly_file",
        "preamble = without_totals(raw, text, self._decoder.encoding)", "preamble = raw",
        (_DAMAGED + "test_corrected_rows_are_published_with_the_same_options_and_make_the_feed_complete",),
    ),
    Mutant(
        "columns that have moved are read where they were", "saphan_publishers.monthly_layout",
        "if rest.strip() or (", "if not text or (",
        (_DAMAGED + "test_a_name_that_is_too_long_or_too_short_moves_no_wage",),
    ),
    Mutant(
        "all rows between two stray quotes are one row", "saphan_publishers.delimited",
        "if not holds_a_row or (", "if cells or (",
        (_STRAY + "test_two_stray_quotes_cost_their_two_rows_and_none_between_them",),
    ),
    Mutant(
        "a short row with a stray quote takes the good rows below it", "saphan_publishers.delimited",
        "not any(_is_row(end, delimiter, width) for end in ends)", "not _is_row(first, delimiter, width)",
        (_STRAY + "test_stray_quotes_are_seen_also_where_one_of_their_rows_is_short_or_has_quoted_cells",),
    ),
    Mutant(
        "a two-digit year is of any century", "saphan_publishers.dates",
        "if self.short_years is not None and not", "if self.short_years == 0 and not",
        (_DATES + "test_the_year_that_may_be_meant_is_said_in_two_digits",),
    ),
    Mutant(
        "an insurance that joins nobody is published", "saphan_publishers.admission",
        "        if all(is_given(", "        if not all(is_given(",
        (_ADMISSION + "test_an_insurance_that_can_be_joined_to_nobody_is_refused",),
    ),
    Mutant(
        "a change of next year is published", "saphan_publishers.admission",
        "if changed_at is not None and now_ms + DAY_MS < changed_at", "if changed_at is not None and now_ms * 2 < changed_at",
        (_ADMISSION + "test_a_change_that_is_still_to_come_is_refused_but_for_a_clock_that_is_a_day_ahead",),
    ),
    Mutant(
        "a record's own number may stand in its key", "saphan_publishers.carried_numbers",
        "if _holds_own_number(key, record) or any(", "if any(",
        (_CARRIED + "test_a_record_s_own_number_in_a_key_is_refused",),
    ),
    Mutant(
        "a number in the groups of a card may stand in a key", "saphan_publishers.carried_numbers",
        " or any(map(_is_persons, _CARDS(key))):", ":",
        (_CARRIED + "test_a_number_that_is_another_s_is_refused_as_a_card_shows_it_and_else_told",),
    ),
    Mutant(
        "nobody is told of a person's number behind a prefix", "saphan_publishers.carried_numbers",
        "elif any(map(_is_persons, _WORDS(key))):", "elif key in _WORDS(key):",
        (_CARRIED + "test_a_number_that_is_another_s_is_refused_as_a_card_shows_it_and_else_told",),
    ),
    Mutant(
        "every number of thirteen digits in a key is told", "saphan_publishers.carried_numbers",
        'return person_number_kind(number) == "person" and has_right_check_digit(number)', "return len(number) == _DIGITS",
        (_CARRIED + "test_counters_dates_and_times_behind_a_prefix_go_out_and_link_reads_them",),
    ),
    Mutant(
        "a row is kept out for a number that may be a person's by chance", "saphan_publishers.carried_numbers",
        'row_warning("key_may_carry_person"', 'row_error("key_may_carry_person"',
        (_CARRIED + "test_counters_dates_and_times_behind_a_prefix_go_out_and_link_reads_them",),
    ),
    Mutant(
        "link refuses what was published under a longer key", "saphan_schemas.record_checks",
        "person_number_kind(normalise_person_number(text)) in",
        "person_number_kind(normalise_person_number(text)[-13:]) in",
        ("schemas/test_rules.py::test_a_longer_key_is_no_person_s_number_whatever_is_in_it",),
    ),
)  # fmt: skip

PUBLISHING = (*_OF_DATES, *_OF_NUMBERS, *_OF_ROWS, *_OF_CLOCKS, *_OF_ADMISSION)
