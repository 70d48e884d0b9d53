"""Mutants of a solution: which changes are made, where, and that those which change nothing are not."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
import torch
from studium import at_most_mb, exercise
from studium.authoring import mutant_process
from studium.authoring.mutant_process import Trial
from studium.authoring.mutants import mutants
from studium.authoring.subject import open_subject
from studium.exercises.mutation import mutants_of

from tests.authoring.conftest import SMOKE

MODULE = '''
import torch


@exercise(points=1, minutes=1)
def f(x, y):
    """Give it."""
    z = 1
    ### BEGIN SOLUTION
    {line}
    ### END SOLUTION
'''


def changed(line: str) -> set[str]:
    return {mutant.after.strip() for mutant in mutants_of(MODULE.format(line=line), "f")}


def test_a_numerical_mistake_is_made():
    for line, mutant in [
        ("return x + y", "return x - y"),
        ("return x + y", "return x"),
        ("return x + y", "return y"),
        ("return (x - y) * 2.5", "return (x - y) / 2.5"),
        ("return (x - y) * 2.5", "return (x - y) * 5.0"),
        ("return x @ y", "return y @ x"),
        ("return x @ y.T", "return x @ y"),
        ("return -x", "return x"),
        ("return x.sum(dim=-1)", "return x.mean(dim=-1)"),
        ("return x.sum(dim=-1)", "return x.sum(dim=-2)"),
        ("return x.sum(dim=-1)", "return x.sum(dim=0)"),
        ("return x.sum(-1, keepdim=True)", "return x.sum(-1, keepdim=False)"),
        ("return torch.tril(x)", "return torch.triu(x)"),
        ("return x < y", "return x <= y"),
        ("return x < y", "return x > y"),
        ("return x[1:]", "return x[2:]"),
        ("return x[:y]", "return x[:y - 1]"),
        ("return [i for i in range(y)]", "return [i for i in range(y - 1)]"),
        ("return x.clone()", "return x"),
        ("return x.detach() + y", "return x + y"),
        ("return x.double()", "return x"),
        ("return torch.zeros(2, dtype=torch.float64)", "return torch.zeros(2, dtype=torch.float32)"),
        ("return torch.randn(2, generator=y)", "return torch.randn(2)"),
        ("return torch.where(x, y, 0)", "return torch.where(y, x, 0)"),
        ("return x, y", "return y, x"),
        ("return x if y else z", "return x if not (y) else z"),
        ("return x and y", "return x or y"),
        ("return [i for i in x if i]", "return [i for i in x if True]"),
        ('return x.reduce("mean")', "return x.reduce('sum')"),
        ("x.zero_()", "pass"),
        ("x += y", "x -= y"),
        ("return 'é' + x @ y", "return 'é' + y @ x"),
    ]:
        assert mutant in changed(line)


def test_a_change_without_a_meaning_is_not_made():
    for line in [
        "return torch.maximum(x, y)",  # swapped, it is the same
        "return torch.zeros_like(x, device=x.device)  # left out, it is the same here",
    ]:
        assert not {
            "return torch.maximum(y, x)",
            "return torch.zeros_like(x)  # left out, it is the same here",
        } & changed(line)


def test_a_mutant_differs_in_the_solution_alone_and_names_its_line():
    text = MODULE.format(line="return x + y")
    for mutant in mutants_of(text, "f"):
        assert mutant.line == 10
        assert text.splitlines()[9] == mutant.before.rstrip("\n")
        function = ast.parse(mutant.source).body[0]
        assert (function.name, function.body[-1].lineno) == ("f", 10)
        assert "z = 1" in mutant.source


def test_no_mutant_comes_twice_and_none_is_the_solution():
    sources = [ast.dump(ast.parse(m.source)) for m in mutants_of(MODULE.format(line="return x[-1] + x[1] * 2"), "f")]
    assert len(sources) == len(set(sources)) > 8
    assert ast.dump(ast.parse(MODULE.format(line="return x[-1] + x[1] * 2")).body[1]) not in sources


def test_the_change_is_shown_as_a_diff():
    changes = [mutant.change for mutant in mutants_of(MODULE.format(line="return x + y"), "f")]
    assert "-    return x + y\n+    return x - y" in changes


def test_of_functions_with_one_name_the_one_at_the_line_of_its_decorator_is_changed():
    text = "@f.also_correct\ndef _(x):\n    return x + 1\n\n\n@f.also_correct\ndef _(x):\n    return x * 2\n"
    assert {mutant.after.strip() for mutant in mutants_of(text, "_", 6)} == {
        "return x / 2",
        "return x * 3",
        "return x * 1",
        "return x",
        "return 2",
    }


def trial(*, also: bool = True, survived: bool = True, equivalent: str = "") -> Trial:
    return Trial("f", 3, "-    return x + 1\n+    return x - 1", also, survived, [], equivalent)


def mutants_finding(*trials, equivalents=(), report=0):
    answer = SimpleNamespace(
        id="f",
        equivalents=dict.fromkeys(equivalents, "why"),
        alternatives=[],
        tests=[],
        file=Path(__file__),
        report=report,
    )
    found = {"trials": list(trials), "versions": {"f": {}}, "exercises": [answer]}
    return mutants(SimpleNamespace(**found, topic=SimpleNamespace(has=lambda name: False), folder=Path()))


def test_a_changed_other_answer_that_no_test_notices_is_advice_and_no_problem():
    finding = mutants_finding(trial(), trial(survived=False), trial(also=False, survived=False))
    (said,) = finding.advice
    assert "exercises.py line 3: `return x - 1`" in said
    assert (list(finding.problems), finding.mutants.total) == ([], 1)
    assert finding.summary == "1 of 1 mutants fail a test; 1 of 2 of other correct answers"


def test_a_changed_other_answer_can_be_marked_as_equivalent():
    finding = mutants_finding(trial(equivalent="why"), equivalents=["return x - 1"])
    assert (list(finding.advice), list(finding.problems)) == ([], [])


def test_mutants_of_an_open_exercise_are_not_counted():
    assert mutants_finding(trial(also=False)).mutants.total == 1
    assert mutants_finding(trial(also=False), report=1).mutants.total == 0


def test_a_change_of_a_comparison_a_number_or_a_choice_moves_a_border():
    for line, border, other in [
        ("return x < y", "return x <= y", "return x > y + 1"),
        ("return x[:2]", "return x[:3]", ""),
        ("return x or y", "return x", ""),
        ("return max(x, y)", "return min(x, y)", ""),
        ("return x + y", "", "return x - y"),
        ("return x.sum(-1)", "", "return x.mean(-1)"),
    ]:
        found = {mutant.after.strip(): mutant.border for mutant in mutants_of(MODULE.format(line=line), "f")}
        assert found.get(border, True)
        assert not found.get(other, False)


def with_a_half(fixed: bool):
    @exercise(points=1, minutes=1)
    def halves(n):
        """Round n / 2, halves up."""

    @halves.hidden("for any n", points=1)
    def _(halves, rng):
        n = 3 if fixed or torch.rand((), generator=rng) < 0.1 else 4
        assert halves(n) == (n + 1) // 2

    return halves


def test_a_border_that_some_draws_miss_is_found_and_a_fixed_case_settles_it():
    topic = SimpleNamespace(slug="t")

    def wrong(n):
        return n // 2

    fixed, luck = with_a_half(True), with_a_half(False)
    assert mutant_process._lucky_draw(topic, fixed, wrong, ["for any n"]) == 0
    assert mutant_process._lucky_draw(topic, luck, wrong, ["for any n"]) == mutant_process.DRAWS[0]


def test_a_change_that_fails_a_test_without_random_data_is_tried_in_no_other_draw():
    halves = with_a_half(False)
    halves.test("for 3", points=0)(lambda halves: None)
    assert mutant_process._lucky_draw(SimpleNamespace(slug="t"), halves, None, ["for 3"]) == 0


def test_a_border_that_is_hit_by_luck_is_advice_and_no_problem():
    lucky = msgspec.structs.replace(trial(also=False, survived=False), passes=2)
    finding = mutants_finding(lucky, trial(also=False, survived=False))
    (said,) = finding.advice
    assert "exercises.py line 3: `return x - 1`; add a fixed case" in said
    assert not finding.problems


def test_a_sample_of_other_answers_is_tried_and_the_whole_where_it_is_asked_for(copy_sample):
    with open_subject(str(copy_sample()), SMOKE) as subject:
        response = subject.topic.exercises["response"]
        tried = {
            whole: [t for t, _, _ in mutant_process._tasks(subject.topic, response, whole) if t.also]
            for whole in (False, True)
        }
        everything = mutant_process.other_mutants(response)
    assert (len(tried[False]), len(tried[True])) == (mutant_process.SAMPLE, len(everything))
    assert {t.change for t in tried[False]} < {mutant.change for _, mutant in everything}


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited on Linux only")
def test_a_test_that_only_limits_memory_has_refused_an_answer_that_needs_more():
    @exercise(points=1, minutes=1)
    def f(n):
        """Give a part of it."""
        return bytes(1)

    @f.hidden("never makes all of it", points=1)
    def _(f):
        with at_most_mb(32):
            f(256 << 20)

    @f.hidden("has one byte", points=0)
    def _(f):
        assert len(f(256 << 20)) == 1

    judged = mutant_process._judge(SimpleNamespace(slug="t"), f, bytes)
    assert judged.denied == ["never makes all of it", "has one byte"]
    crashed = mutant_process._judge(SimpleNamespace(slug="t"), f, lambda n: n.missing)
    assert (crashed.denied, crashed.failed) == ([], ["never makes all of it", "has one byte"])
