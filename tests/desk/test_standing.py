"""Where a learner stands: derived from what was done, and honest about a solution that was shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from studium.desk.records import Checked, Hinted, Kept, Revealed, new_entry
from studium.desk.standing import checked, standing
from studium.errors import StudiumError
from studium.exercises import checking
from studium.exercises.checking import ExerciseResult

WRONG = Checked("wrong", 1.0, 3.0, "keeps the shape", "expected 3", "You forgot the scale.", "first try")
OTHER = Checked("wrong", 0.0, 3.0, answer="second try")
RIGHT = Checked("right", 3.0, 3.0, answer="done")
RESET = Kept("reset", "done")


def after(*whats):
    return standing(new_entry("sample", "merge", what) for what in whats)


def test_the_status_follows_from_what_was_done():
    for whats, status, by_yourself in [
        ((), "untouched", False),
        ((Hinted(1),), "untouched", False),
        ((WRONG,), "wrong", False),
        ((WRONG, RIGHT), "right", True),
        ((RIGHT, WRONG), "wrong", False),
        ((RIGHT, RESET), "untouched", False),
        ((WRONG, Revealed()), "revealed", False),
        ((WRONG, Revealed(), RIGHT), "revealed", False),
        ((WRONG, Revealed(), RIGHT, RESET, RIGHT), "revealed", False),
        ((RIGHT, Revealed()), "right", True),
        ((RIGHT, Revealed(), RESET, RIGHT), "right", True),
    ]:
        found = after(*whats)
        assert (found.status, found.by_yourself) == (status, by_yourself)


def test_the_same_answer_checked_twice_is_one_attempt():
    assert after(WRONG, WRONG, OTHER).attempts == 2


def test_an_answer_that_the_badge_and_a_run_of_all_cells_have_checked_is_one_attempt():
    badge, run_all = (
        Checked("right", 3, 3, answer=text) for text in ("def f():\n    return 1", "def f():\n    return 1\n")
    )
    assert (after(badge, run_all).attempts, len(after(badge, run_all).versions)) == (1, 1)


def test_every_answer_is_in_the_history_newest_first():
    versions = after(WRONG, WRONG, OTHER, RIGHT, RESET).versions
    assert [(one.answer, one.reason) for one in versions] == [
        ("done", "reset"),
        ("second try", "checked"),
        ("first try", "checked"),
    ]
    assert [one.outcome for one in versions] == ["right", "wrong", "wrong"]


WHATS = st.lists(st.sampled_from([WRONG, OTHER, RIGHT, Revealed(), Hinted(1), Hinted(2), RESET]), max_size=12)


@given(WHATS)
def test_what_was_revealed_before_it_was_right_is_never_shown_as_ones_own(whats):
    shown = whats.index(Revealed()) if Revealed() in whats else len(whats)
    if shown < len(whats) and RIGHT not in whats[:shown]:
        assert after(*whats).status == "revealed"
        assert not after(*whats).by_yourself


@given(WHATS)
def test_no_answer_is_missing_from_the_history(whats):
    answers = {what.answer for what in whats if hasattr(what, "answer")}
    assert {one.answer for one in after(*whats).versions} == answers


def test_a_record_names_the_failed_test_unless_all_fail_for_one_reason():
    for messages, test in [(["no 1", "no 2"], "first"), (["no", "no"], "")]:
        tests = [
            checking.TestResult(name, False, 0.0, why) for name, why in zip(("first", "second"), messages, strict=True)
        ]
        record = checked(ExerciseResult("merge", "wrong", 0.0, 2.0, tests), "answer")
        assert (record.test, record.message) == (test, messages[0])


def test_a_solution_comes_after_an_attempt_and_is_written_down_once(journal):
    with pytest.raises(StudiumError, match="try first: the solution of merge comes after an attempt"):
        journal.reveal("sample", "merge")
    journal.write("sample", "merge", WRONG)
    journal.reveal("sample", "merge")
    journal.reveal("sample", "merge")
    kinds = [type(one.what).__name__ for one in journal.store.entries(journal.workspace)]
    assert kinds == ["Checked", "Revealed"]


def test_hints_go_on_where_another_kernel_stopped(journal, store, tmp_path):
    assert [journal.take_hint("sample", "merge", 3) for _ in range(2)] == [1, 2]
    again = type(journal)(store, tmp_path)
    assert [again.take_hint("sample", "merge", 3) for _ in range(3)] == [3, 3, 3]


def test_what_is_said_of_an_answer_without_a_name_is_recorded_with_the_smallest_call():
    told = {"said": "Yours is the negative of the right result.", "said_kind": "relation"}
    smallest = "Smallest call that goes wrong: `f(x=1)` gives -1 and should give 1."
    result = ExerciseResult(
        "f", "wrong", 0.0, 1.0, [checking.TestResult("t", False, 0.0, "no")], smallest=smallest, **told
    )
    record = checked(result, "def f(x): return -x")
    assert (record.mistake_id, record.said, record.smallest) == ("", told["said"], smallest)
