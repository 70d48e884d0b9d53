"""What a hidden test is worth: the wrong answers that it fails, and those that no other test fails."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from studium import assert_close, at_most_mb, exercise
from studium.authoring.findings import Mutants, Report, Worth
from studium.authoring.mutant_process import Trial
from studium.authoring.mutants import mutants
from studium.authoring.subject import open_subject
from studium.authoring.tried_versions import Tried
from studium.authoring.worth import too_weak, weaker, worth_of
from studium.cli import topic

from tests.authoring.conftest import SMOKE
from tests.authoring.damages import WEAK_TESTS

pytestmark = pytest.mark.usefixtures("forked_checks")


def subject_with(*trials, **versions):
    @exercise(points=1, minutes=1)
    def f(x):
        """Give it."""

    f.test("by hand", points=0)(lambda f: None)
    f.hidden("everywhere", points=1)(lambda f: None)
    f.hidden("by sign", points=0)(lambda f: None)
    return SimpleNamespace(trials=trials, versions={"f": versions}, exercises=[f])


def wrong(*failed, line=3):
    return Trial("f", line, f"-    return x\n+    return {line} * x", failed=list(failed))


def test_a_test_is_worth_the_wrong_answers_that_pass_all_others():
    misconception = Trial("f", name="forgot-x", failed=["everywhere"])
    found = worth_of(subject_with(wrong("by hand", "everywhere"), wrong("everywhere", line=4), misconception))
    assert found[0].alone == ["line 4: return 4 * x", "a misconception: forgot-x"]
    assert [(worth.test, worth.fails, worth.total) for worth in found] == [("everywhere", 3, 3), ("by sign", 0, 3)]


def test_a_version_that_breaks_a_promise_is_a_wrong_answer():
    found = worth_of(subject_with(no_grad=Tried(2, 3, ("by sign",)), half=Tried(3, 3)))
    assert [worth.alone for worth in found] == [[], ["a version: no_grad"]]


def test_a_hidden_test_is_weaker_where_another_fails_the_same_and_more():
    weak = wrong("by hand", "everywhere", "by sign")
    assert "'by sign' fails 1 of 2" in "".join(weaker(worth_of(subject_with(weak, wrong("everywhere", line=4)))))
    assert not list(weaker(worth_of(subject_with(wrong("by hand", "everywhere", "by sign")))))


def test_a_wrong_answer_that_was_ended_or_passed_counts_for_no_test():
    assert [worth.total for worth in worth_of(subject_with(wrong(), Trial("f", name="ended")))] == [0, 0]


def test_a_weak_hidden_test_of_the_sample_topic_is_listed(copy_sample):
    for name in WEAK_TESTS:
        with open_subject(str(copy_sample(WEAK_TESTS[name])), SMOKE) as subject:
            subject.chosen = ("response",)
            finding = mutants(subject)
        heading, said = finding.summary.splitlines()[1:]
        assert heading.startswith("hidden tests that contribute nothing")
        assert said.startswith(f"response: {name!r} fails ")
        assert not finding.problems


@pytest.fixture
def halves():
    """A topic with an exercise whose hidden tests look at a sign, and at the value."""

    @exercise(points=1, minutes=1)
    def half(x):
        """Give the half of it."""
        return x / 2

    @half.test("by hand", points=0)
    def _(half):
        assert_close(half(3.0), 1.5)

    @half.hidden("by sign", points=1)
    def _(half):
        assert half(3.0) > 0

    @half.hidden("by value", points=0)
    def _(half):
        assert_close(half(5.0), 2.5)

    @half.hidden("by memory", points=0)
    def _(half):
        with at_most_mb(1):
            half(5.0)

    return SimpleNamespace(topic=SimpleNamespace(slug="halves", exercise=lambda name: half))


def test_a_weaker_test_that_passes_inexact_results_and_fails_few_wrong_answers_is_advice(halves):
    (said,) = too_weak(halves, [Worth("half", "by sign", 2, 9, [], "by hand")])
    assert said.startswith("the hidden test 'by sign' of half tests too little: it passes results that are off by up ")
    assert "fails 2 of 9 wrong answers, which 'by hand' fails too" in said


def test_a_hidden_test_that_contributes_something_is_no_advice(halves):
    for worth in [
        Worth("half", "by value", 2, 9, [], "by hand"),
        Worth("half", "by memory", 2, 9, [], "by hand"),
        Worth("half", "by sign", 3, 8, [], "by hand"),
        Worth("half", "by sign", 2, 9, ["a misconception: forgot-the-sign"]),
    ]:
        assert list(too_weak(halves, [worth])) == []


def test_the_table_has_a_line_for_each_hidden_test(capsys):
    worth = worth_of(subject_with(wrong("everywhere")))
    topic._print_worth(Report("echo", True, [], Mutants(worth=worth)))
    assert "  f: 1 of 1, 1 alone: everywhere\n  f: 0 of 1, 0 alone: by sign\n" in capsys.readouterr().out
