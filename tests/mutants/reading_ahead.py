"""Faults of what is read beside link: other messages' readings, too few of them, and what nobody needs any more."""

from mutants.mutant import Mutant

_AHEAD = "streams/test_reading_ahead.py::"
_BESIDE = "streams/test_reading_beside.py::"
_ANYWHERE = _AHEAD + "test_what_was_read_beside_is_what_is_read_here_wherever_it_is_cut[doe.employments.v1]"
_BEHIND_A_COMMIT = _AHEAD + "test_with_a_commit_link_gives_up_what_is_behind_it"
_BUSY = (
    "streams/test_transport.py::test_somebody_can_begin_with_what_comes_while_the_agent_is_busy_and_with_nothing_else"
)


def _ahead(fault: str, fragment: str, replacement: str, *killers: str) -> Mutant:
    return Mutant(fault, "saphan_streams.reading_ahead", fragment, replacement, killers)


READING_AHEAD = (
    _ahead(
        "what was read of other messages at the same offsets is believed",
        "last if same else first", "last", _ANYWHERE,
    ),
    _ahead(
        "what lies between two pieces that were read beside is left out",
        "if found.start > start:", "if found.start < start:", _ANYWHERE,
    ),
    _ahead(
        "a piece that is half asked for is handed on whole",
        "_between(answer, records[found.start].offset, records[found.stop - 1].offset)", "answer", _ANYWHERE,
    ),
    _ahead(
        "what a commit has passed is kept",
        "pieces.popleft().answer.cancel()", "break", _BEHIND_A_COMMIT + "[None]",
    ),
    _ahead(
        "what is only begun by a commit is given up with it",
        "pieces[0].chunk.next_offset <= chunk.next_offset", "pieces[0].first_offset <= chunk.next_offset",
        _BEHIND_A_COMMIT + "[None]",
    ),
    _ahead(
        "a process that hangs holds link up",
        "self._beside.kill()", "pass",
        _BESIDE + "test_when_it_hangs_link_waits_a_while_and_reads_by_itself",
    ),
    Mutant(
        "what was read for the last assignment is kept in the next one", "saphan_streams.link",
        "self.ahead.forget()", "pass",
        (_AHEAD + "test_with_a_new_assignment_link_gives_up_what_was_read_for_the_last_one",),
    ),
    Mutant(
        "the pipes of the process beside stay when link has closed it", "saphan_streams.reading_beside",
        "        self.kill_for_good()\n        self._bury()", "        self.kill_for_good()",
        (_BESIDE + "test_nothing_is_left_of_it_when_link_closes_it[idle]",),
    ),
    Mutant(
        "the process beside reads with its own numbers of schemas", "saphan_streams.reading_process",
        "version = SchemaVersion(*row)", "version = SchemaVersion(row[0], row[1], 7, row[3])",
        (_AHEAD + "test_the_process_reads_with_the_numbers_of_link_whoever_gave_them",),
    ),
    Mutant(
        "what comes to an idle agent takes the way through the other process", "saphan_streams.transport",
        "if app.ahead is not None and self._is_agent_busy():", "if app.ahead is not None:", (_BUSY,),
    ),
)  # fmt: skip
