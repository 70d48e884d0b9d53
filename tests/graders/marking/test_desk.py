"""A desk: which answers wait, who holds which, what is written, and what a change of the rubric does to marks."""

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

pytest.importorskip("nbgrader")

from nbgrader.api import Gradebook
from studium.errors import CourseError, UnknownNameError, UsageError
from studium_graders.marking.desk import HOLDS, Desk
from studium_graders.marking.errors import HeldError
from studium_graders.marking.forms import Item, Opened

from .conftest import ESSAY, OUTLINE, PART, STUDENTS, TASK, TEST, Book, nbgraders_warnings


def counts(desk: Desk) -> dict[str, tuple[int, int, int, int]]:
    return {one.question: (one.waiting, one.marked, one.mine, one.held) for one in desk.questions()}


def taken(desk: Desk, question: str = ESSAY) -> Opened:
    found = desk.next(question)
    assert found
    return found


def of(desk: Desk, student: str, question: str = ESSAY) -> Opened:
    """Go through the answers that wait, and then through the marked ones, until the student's is there."""
    for is_marked in (False, True):
        found = desk.next(question, marked=is_marked)
        for _ in STUDENTS:
            if found and found.student == student:
                return found
            found = desk.next(question, found.answer if found else "", marked=is_marked)
    raise AssertionError(f"{student} has no answer to {question}")


def added(desk: Desk, question: str, text: str, points: float) -> Item:
    return desk.add(question, text, points).items[-1]


def marked(book: Book, student: str, *items: str, points: float | None = None, comment: str = "") -> float:
    desk = book.desk()
    found = of(desk, student)
    return desk.save(found.answer, items, points, comment, found.stamp)


# --------------------------------------------------------------------------------------------------- what waits


def test_a_marked_answer_waits_no_longer_and_counts_for_whoever_marked_it(book):
    assert counts(book.desk()) == {ESSAY: (4, 0, 0, 0), TASK: (4, 0, 0, 0)}  # and no test that nobody need mark
    marked(book, "ada", points=3)
    assert counts(book.desk("tom"))[ESSAY] == (3, 1, 1, 0)
    assert counts(book.desk("eve"))[ESSAY] == (3, 1, 0, 1)


def test_an_answer_that_changed_after_it_was_marked_waits_again_and_says_so(book):
    marked(book, "ada", points=3)
    with Gradebook(book.url) as gradebook:
        gradebook.find_grade("essay", "own", "ps1", "ada").needs_manual_grade = True
        gradebook.db.commit()
    assert counts(book.desk())[ESSAY] == (4, 0, 0, 0)
    found = of(book.desk(), "ada")
    assert (found.changed, found.mark, found.points) == (True, 3, 3)


def test_who_may_not_see_a_student_gets_neither_the_answer_nor_its_number(book):
    hers = taken(book.desk()).answer
    mine = of(book.desk(), "ada").answer
    desk = book.desk("eve", sees=lambda student: student == "bob")
    assert counts(desk) == {ESSAY: (1, 0, 0, 0), TASK: (1, 0, 0, 0)}
    assert taken(desk).student == "bob"
    for answer in {hers, mine, "unknown", ""} - {taken(desk).answer}:
        with pytest.raises(UsageError, match="no such answer"):
            desk.open(answer)


def test_an_unknown_question_assignment_and_gradebook_are_one_sentence_each(book, tmp_path):
    with pytest.raises(CourseError, match="no marks exist yet"):
        Desk(f"sqlite:///{tmp_path / 'no.db'}", "ps1", OUTLINE, "tom").questions()
    assert not (tmp_path / "no.db").exists()
    with pytest.raises(UnknownNameError, match="own/esay"):
        book.desk().next("own/esay")
    with pytest.raises(UnknownNameError, match="ps2"):
        Desk(book.url, "ps2", OUTLINE, "tom").questions()


# ------------------------------------------------------------------------------------------------- who holds what


def test_two_people_get_different_answers_until_one_of_them_lets_go(book):
    tom, eve = book.desk("tom"), book.desk("eve")
    his, hers = taken(tom), taken(eve)
    assert his.answer != hers.answer
    with pytest.raises(HeldError, match="tom is marking this answer now"):
        eve.open(his.answer)
    tom.give_back()
    assert eve.open(his.answer).answer == his.answer


def test_whoever_takes_the_next_answer_gives_the_last_one_back(book):
    tom, eve = book.desk("tom"), book.desk("eve")
    first = taken(tom)
    second = tom.next(ESSAY, first.answer)
    assert second
    assert eve.open(first.answer).answer == first.answer
    with pytest.raises(HeldError, match="tom is marking"):
        eve.open(second.answer)


def test_an_answer_that_somebody_forgot_is_free_after_a_while(book):
    his = taken(book.desk("tom"))
    book.clock.pass_(seconds=HOLDS.total_seconds() - 1)
    with pytest.raises(HeldError):
        book.desk("eve").open(his.answer)
    book.clock.pass_(seconds=2)
    assert book.desk("eve").open(his.answer).answer == his.answer
    with pytest.raises(HeldError, match="eve is marking"):
        book.desk("tom").save(his.answer, [], 1, "", his.stamp)


def test_a_late_mark_does_not_replace_one_that_somebody_else_gave_meanwhile(book):
    tom, eve = book.desk("tom"), book.desk("eve")
    his = taken(tom)
    book.clock.pass_(hours=1)
    hers = eve.open(his.answer)
    eve.save(hers.answer, [], 4, "good", hers.stamp)
    eve.give_back()
    with pytest.raises(HeldError, match="has changed since you opened it"):
        tom.save(his.answer, [], 1, "", his.stamp)
    assert book.mark(his.student) == (4, False)


def test_a_mark_of_an_answer_that_was_handed_in_anew_meanwhile_is_refused(book):
    desk = book.desk()
    found = taken(desk)
    book.content[found.student, "own"] = "another notebook"
    with pytest.raises(HeldError, match="has changed since you opened it"):
        desk.save(found.answer, [], 1, "", found.stamp)
    assert book.mark(found.student) == (None, True)


def test_two_assistants_who_mark_at_once_never_hold_the_same_answer(book):
    def work(person: str) -> list[str]:
        desk, done = book.desk(person), []
        while found := desk.next(ESSAY):
            done.append(found.answer)
            desk.save(found.answer, [], 1, person, found.stamp)
        return done

    with ThreadPoolExecutor(4) as pool:
        shares = list(pool.map(work, ("tom", "eve", "kim", "lea")))
    answers = [answer for share in shares for answer in share]
    assert len(answers) == len(set(answers)) == len(STUDENTS)


# ------------------------------------------------------------------------------------------------ what is written


def test_nbgrader_has_the_mark_and_the_comment_with_the_rubrics_lines_first(book):
    desk = book.desk()
    right, slip = added(desk, ESSAY, "names the rank", 3), added(desk, ESSAY, "forgets  the\nscale", -0.5)
    assert marked(book, "ada", right.id, slip.id, points=1, comment="well written\r\nindeed ") == 3.5
    assert book.mark("ada") == (3.5, False)
    assert book.comment("ada") == "+3 names the rank\n-0.5 forgets the scale\nwell written\nindeed"
    found = of(book.desk(), "ada")
    assert (found.items, found.points, found.comment) == ([right.id, slip.id], 1, "well written\nindeed")


def test_no_more_than_the_questions_points_are_given_and_no_less_than_nothing(book):
    desk = book.desk()
    much, little = added(desk, ESSAY, "much", 9), added(desk, ESSAY, "little", -9)
    assert marked(book, "ada", much.id) == 5
    assert marked(book, "bob", little.id) == 0


def test_extra_credit_stays_as_it_is(book):
    with Gradebook(book.url) as gradebook:
        gradebook.find_grade("essay", "own", "ps1", "ada").extra_credit = 2.0
        gradebook.db.commit()
    marked(book, "ada", points=4)
    with Gradebook(book.url) as gradebook:
        grade = gradebook.find_grade("essay", "own", "ps1", "ada")
        assert (grade.extra_credit, grade.score) == (2.0, 6.0)


def test_neither_an_item_nor_points_is_no_mark(book):
    with pytest.raises(UsageError, match="a mark needs an item of the rubric, or points"):
        marked(book, "ada", comment="hm")
    assert book.mark("ada") == (None, True)
    assert book.comment("ada") is None


def test_points_that_are_no_ordinary_number_and_an_item_without_a_short_text_are_refused(book):
    for points in (float("nan"), float("inf"), 1e9):
        with pytest.raises(UsageError, match="points must be a number up to 10000"):
            marked(book, "ada", points=points)
        with pytest.raises(UsageError, match="an item's points must be a number"):
            added(book.desk(), ESSAY, "much", points)
    for text in ("", " \n", "x" * 201):
        with pytest.raises(UsageError, match="needs a text of at most 200 characters"):
            added(book.desk(), ESSAY, text, 1)


def test_what_somebody_changed_in_the_formgrader_counts_and_is_shown(book):
    item = added(book.desk(), ESSAY, "names the rank", 3)
    marked(book, "ada", item.id, comment="good")
    book.in_the_formgrader("ada", 4.5, "+3 names the rank\nvery good")
    found = of(book.desk(), "ada")
    assert (found.mark, found.items, found.points, found.comment) == (4.5, [item.id], 1.5, "very good")


def test_two_questions_about_one_answer_share_its_comment_and_keep_each_others_lines(book):
    with Gradebook(book.url) as gradebook:
        for cell in ("test", "part"):
            gradebook.find_grade(cell, "own", "ps1", "ada").needs_manual_grade = True
        gradebook.db.commit()
    desk = book.desk()
    one, other = added(desk, TEST, "right idea", 1), added(desk, PART, "tidy", 0.5)
    for question, item, comment in ((TEST, one, "nice"), (PART, other, "nice work")):
        found = taken(desk, question)
        assert found.comment == ("" if item is one else "nice")
        desk.save(found.answer, [item.id], None, comment, found.stamp)
    assert book.comment("ada", "code") == "+1 right idea\n+0.5 tidy\nnice work"
    desk.change(one.id, "the right idea", 2)
    assert book.comment("ada", "code") == "+2 the right idea\n+0.5 tidy\nnice work"
    assert (book.mark("ada", "test"), book.mark("ada", "part")) == ((2, False), (0.5, False))


# ------------------------------------------------------------------------------------------------------ the rubric


def test_a_changed_item_marks_again_all_answers_that_have_it_and_no_others(book):
    desk = book.desk()
    item, other = added(desk, ESSAY, "names the rank", 2), added(desk, ESSAY, "tidy", 1)
    marked(book, "ada", item.id, other.id, comment="good")
    marked(book, "bob", item.id, points=-1)
    marked(book, "cleo", other.id)
    assert desk.change(item.id, "names and explains the rank", 3).again == 2
    assert [book.mark(name) for name in STUDENTS] == [(4, False), (2, False), (1, False), (None, True)]
    assert book.comment("ada") == "+3 names and explains the rank\n+1 tidy\ngood"
    assert book.comment("cleo") == "+1 tidy"
    assert [(one.text, one.points, one.used) for one in desk.rubric(ESSAY).items] == [
        ("names and explains the rank", 3, 2),
        ("tidy", 1, 2),
    ]


def test_a_removed_item_takes_its_points_along_and_an_answer_with_nothing_else_waits_again(book):
    desk = book.desk()
    item, other = added(desk, ESSAY, "names the rank", 2), added(desk, ESSAY, "tidy", 1)
    marked(book, "ada", item.id, other.id)
    marked(book, "bob", item.id)
    assert desk.remove(item.id).again == 2
    assert [book.mark(name) for name in ("ada", "bob")] == [(1, False), (None, True)]
    assert (book.comment("ada"), book.comment("bob")) == ("+1 tidy", None)
    assert [one.text for one in desk.rubric(ESSAY).items] == ["tidy"]


def test_points_that_the_formgrader_added_stay_when_an_item_changes(book):
    desk = book.desk()
    item = added(desk, ESSAY, "names the rank", 2)
    marked(book, "ada", item.id)
    book.in_the_formgrader("ada", 2.5, "+2 names the rank")
    desk.change(item.id, "names the rank", 1)
    assert book.mark("ada") == (1.5, False)


def test_an_item_of_another_question_or_one_that_is_gone_is_refused(book):
    desk = book.desk()
    foreign, gone = added(desk, TASK, "neat", 1), added(desk, ESSAY, "old", 1)
    desk.remove(gone.id)
    for item in (foreign.id, gone.id):
        with pytest.raises(UsageError, match="has no item"):
            marked(book, "ada", item)
    with pytest.raises(UsageError, match="has no item"):
        desk.change(gone.id, "new", 1)


# --------------------------------------------------------------------------------------------------- all or nothing


def test_an_error_among_the_answers_that_are_marked_again_changes_none_of_them(book, monkeypatch):
    desk = book.desk()
    item = added(desk, ESSAY, "names the rank", 2)
    for name in ("ada", "bob", "cleo"):
        marked(book, name, item.id)
    written = []

    def full(items: object, *more: object) -> float:
        written.append(items)
        if len(written) == 2:
            raise sqlite3.OperationalError("database or disk is full")
        return 1.0

    monkeypatch.setattr("studium_graders.marking.writing.mark_of", full)
    with pytest.raises(CourseError, match="the disk is full"):
        desk.change(item.id, "names the rank", 1)
    assert len(written) == 2
    assert {book.mark(name) for name in ("ada", "bob", "cleo")} == {(2, False)}
    assert desk.rubric(ESSAY).items[0].points == 2


KILLED = """
    import os, signal, sys
    from studium_graders.marking import desk, writing
    from studium_graders.marking.outline import Question

    outline = {"own/essay": Question("own", "essay", "essay", "essay")}
    own = desk.Desk(sys.argv[1], "ps1", outline, "tom")
    write = writing.Answer.sign

    def die(self, *given):
        write(self, *given)
        self._session.flush()
        os.kill(os.getpid(), signal.SIGKILL)

    writing.Answer.sign = die
    found = own.open(sys.argv[2])
    own.save(found.answer, [sys.argv[3]], 1.0, "lost", found.stamp)
"""


def test_a_process_that_is_killed_between_writing_and_committing_leaves_the_marks_as_they_were(book):
    desk = book.desk()
    item = added(desk, ESSAY, "names the rank", 2)
    marked(book, "ada", item.id, comment="good")
    answer = of(desk, "ada").answer
    desk.give_back()
    words = [sys.executable, "-c", textwrap.dedent(KILLED), book.url, answer, item.id]
    done = subprocess.run(words, check=False, capture_output=True, text=True, env=os.environ, timeout=300)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert (book.mark("ada"), book.comment("ada")) == ((2, False), "+2 names the rank\ngood")
    assert of(book.desk(), "ada").items == [item.id]
    book.clock.pass_(hours=24)
    assert marked(book, "ada", item.id, points=1) == 3


def test_nbgrader_opens_and_checks_a_gradebook_with_our_tables(book):
    marked(book, "ada", points=3)
    with nbgraders_warnings(), Gradebook(book.url) as gradebook:
        assert gradebook.find_submission("ps1", "ada").score == 5.0
        gradebook.remove_submission("ps1", "ada")
        gradebook.add_submission("ps1", "ada")
    with closing(sqlite3.connect(book.url.removeprefix("sqlite:///"))) as database:
        assert database.execute("pragma integrity_check").fetchall() == [("ok",)]
    assert counts(book.desk())[ESSAY] == (4, 0, 0, 0)
    assert of(book.desk(), "ada").points is None
