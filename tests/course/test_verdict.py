"""A verdict is one card: the mistake largest, then the failed test with its values; the same in HTML and as text."""

from __future__ import annotations

import re

import msgspec
import pytest
from studium.exercises import checking
from studium.exercises.checking import ShownResult
from studium.exercises.verdict import VERDICT, Verdict

FAILED = checking.TestResult(
    "keeps the <shape>", False, 0.0, "for r = 2: expected shape (3, 4), got (4, 3) (2 of 2 values differ)"
)
PASSED = checking.TestResult("scales with `alpha`", True, 2.0)
WRONG = ShownResult("merge", "wrong", 2.0, 3.0, [FAILED, PASSED], mistake="You scaled by `alpha` & no more.")
RIGHT = ShownResult("merge", "right", 2.0, 2.0, [PASSED, msgspec.structs.replace(FAILED, passed=True, message="")])


def card(result: ShownResult, **more: object) -> str:
    return str(Verdict(result, "lora", **more).forms()["text/html"])


def large(html: str) -> str:
    return re.search(r'class="studium-verdict-sentence"[^>]*>(.*?)</div>', html)[1]


def test_the_mistake_is_the_largest_sentence_and_is_set_as_text():
    assert large(card(WRONG)) == "You scaled by <code>alpha</code> &amp; no more."


def test_without_a_sentence_about_the_mistake_what_the_failed_test_requires_is_the_largest():
    html = card(msgspec.structs.replace(WRONG, mistake=""))
    assert large(html) == "<code>merge</code> should keep the &lt;shape&gt;."
    assert html.count("the &lt;shape&gt;") == 1


def test_the_smallest_call_that_goes_wrong_stands_under_every_headline():
    small = "Smallest call that goes wrong: `merge(r=1)` gives 2 and should give 1."
    for mistake in ("", WRONG.mistake):
        verdict = Verdict(msgspec.structs.replace(WRONG, mistake=mistake, smallest=small), "lora")
        html = verdict.forms()["text/html"]
        assert "Smallest call that goes wrong: <code>merge(r=1)</code> gives 2 and should give 1." in html
        assert small in repr(verdict).splitlines()[2]


@pytest.mark.parametrize("tests", [["keeps the shape"], ["keeps the shape", "scales"]])
def test_an_answer_that_could_not_be_tested_says_why_and_names_no_test(tests):
    message = "the cell does not run: SyntaxError: '(' was never closed (line 2 of the cell)"
    verdict = Verdict(
        msgspec.convert(checking.untested("merge", 3.0, tests, message), ShownResult, from_attributes=True)
    )
    html = verdict.forms()["text/html"]
    assert large(html) == "The cell does not run: SyntaxError: &#x27;(&#x27; was never closed (line 2 of the cell)."
    assert "keeps the shape" not in html + repr(verdict)
    assert message.removeprefix("the ") in repr(verdict)
    assert verdict.forms()[VERDICT]["tested"] is False


def test_an_error_that_ends_every_test_is_the_largest_sentence():
    raised = "merge raised NameError: name 'q' is not defined, in the line `return q`"
    tests = [checking.TestResult(name, False, 0.0, raised) for name in ("keeps the shape", "scales")]
    html = card(ShownResult("merge", "wrong", 0.0, 3.0, tests))
    assert large(html).startswith("<code>merge</code> raised NameError: name ")
    assert large(html).endswith(" is not defined, in the line <code>return q</code>.")
    assert "scales" not in html


@pytest.mark.parametrize("change", [{"differs": True}, {"outcome": "wrong", "tests": [FAILED]}])
def test_values_that_are_wrong_everywhere_stay_below_the_name_of_their_test(change):
    alike = [msgspec.structs.replace(FAILED, name=name) for name in ("keeps the shape", "scales")]
    result = msgspec.structs.replace(ShownResult("merge", "wrong", 0.0, 3.0, alike), **change)
    assert large(card(result)).startswith("<code>merge</code> should keep the")


def test_the_expected_value_and_the_learners_are_set_as_code():
    assert (
        "for r = 2: expected <code><strong>shape (3, 4)</strong></code>, got <code><strong>(4, 3)</strong></code> "
        "(2 of 2 values differ)" in card(WRONG)
    )


def test_prose_with_the_word_expected_is_not_taken_for_a_value():
    prose = msgspec.structs.replace(FAILED, message="labels are expected in int64, got a list")
    assert "labels are expected in int64, got a list" in card(msgspec.structs.replace(WRONG, tests=[prose]))


def test_a_right_answer_says_what_is_right_about_it():
    assert large(card(RIGHT)) == "<code>merge</code> scales with <code>alpha</code>."
    assert "✓ keeps the &lt;shape&gt;" in card(RIGHT)


def test_what_was_not_attempted_has_no_sentence_and_no_tests():
    html = card(ShownResult("merge", "not attempted", 0.0, 3.0, [FAILED]))
    assert "Not attempted yet: merge (3 points)" in html
    assert "shape" not in html
    assert "studium-verdict-sentence" not in html


@pytest.mark.parametrize("result", [WRONG, RIGHT])
def test_the_text_says_what_the_card_says(result):
    verdict = Verdict(result, "lora", remark="Not recorded.")
    said = re.sub(r"<[^>]*>", " ", verdict.forms()["text/html"])
    for words in re.findall(r"[a-z]{4,}", repr(verdict)):
        assert words in said


def test_the_extension_is_told_which_exercise_it_is_and_whether_arrays_differ():
    forms = Verdict(msgspec.structs.replace(WRONG, differs=True), "lora").forms()
    assert forms[VERDICT] == {
        "topic": "lora",
        "exercise": "merge",
        "outcome": "wrong",
        "differs": True,
        "tested": True,
        "answer": "",
    }
    assert "lesson.difference(merge)" in forms["text/html"]
    assert "lesson.difference" not in card(WRONG)
