"""What a statement promises, a test notices; versions that break a promise are made and tried."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace

import torch
from studium import assert_close, exercise
from studium.authoring.first_cases import degenerate, degenerate_cases
from studium.authoring.promises import _table, _unnoticed, promises
from studium.authoring.subject import open_subject
from studium.authoring.tried_versions import Tried, try_versions
from studium.authoring.versions import Spoiler, Version, edges_exchanged, in_a_tuple, results_as, reversed_order

from tests.authoring.conftest import SMOKE, Damage

TOPIC = SimpleNamespace(slug="sample")
STATEMENTS = {
    "Returns a tensor.": "NumPy",
    "Returns a bool mask.": "float",
    "Returns the ids in long.": "float",
    "Returns the table in float64.": "float",
    "Returns the mask alone.": "in a tuple",
    "Returns the two in the order given.": "back to front",
    "Gradients flow to x.": "no_grad",
    "x stays as it is.": "changes x",
    "The arguments stay as they are.": "changes y",
}


def made(statement, test, solution=None):
    def answer(x, y):
        return solution(x, y) if solution else x > 0

    answer.__doc__ = statement
    found = exercise(points=1, minutes=1)(answer)
    found.test("does it", points=1)(test)
    return found


def test_a_promise_that_no_test_notices_is_told_with_the_version():
    for statement, version in STATEMENTS.items():
        lenient = {version: Tried(2, 2)}
        (said,) = _unnoticed(made(statement, lambda answer: None), lenient)
        assert "the tests miss a version that" in said
        assert "[standard.md#promises]" in said
        assert not list(_unnoticed(made(statement, lambda answer: None), {version: Tried(1, 2)}))


def test_what_is_said_of_an_argument_is_no_promise_of_the_result():
    for statement in ["mask is bool. Returns x.", "With t in long. Returns x.", "y stays as it is. Returns x."]:
        survivors = {name: Tried(1, 1) for name in ("float", "int", "changes x")}
        assert not list(_unnoticed(made(statement, lambda answer: None), survivors))


def squared_error(x, y):
    return ((x - y) ** 2).mean()


def by_value(answer):
    assert_close(answer(torch.tensor([1.0, 3.0]), torch.zeros(2)), torch.tensor(5.0))


def by_gradient(answer):
    x = torch.tensor([1.0, 3.0], requires_grad=True)
    answer(x, torch.zeros(2)).backward()
    assert_close(x.grad, torch.tensor([1.0, 3.0]))


def test_a_loss_without_its_gradient_is_told_though_no_test_asks_for_one():
    for statement, test, said in [
        ("Returns the loss.", by_value, "answer is a loss"),
        ("Returns the loss.", by_gradient, ""),
        ("Gradients flow back to x.", by_value, "says “Gradients flow”"),
        ("Returns the error.", by_value, ""),
    ]:
        sample = made(statement, test, squared_error)
        tried = try_versions(TOPIC, sample)
        assert tried["no_grad"].survives == (test is by_value)
        told = "".join(_unnoticed(sample, tried))
        assert (said in told) if said else not told


def test_a_solution_without_gradients_has_no_version_without_them():
    assert "no_grad" not in try_versions(TOPIC, made("Returns the loss.", by_value, torch.no_grad()(squared_error)))


def at_the_edge(answer):
    by_value(answer)
    assert_close(answer(torch.ones(2), torch.ones(2)), torch.tensor(0.0))


def test_a_promise_of_0_or_nan_wants_a_test_that_reaches_it():
    for statement, told in [
        ("Returns the error, 0 where x is y.", True),
        ("Returns the error, not NaN for equal ones.", True),
        ("Returns the error. y is 0 for the first sentence.", False),
    ]:
        for test in (by_value, at_the_edge):
            sample = made(statement, test, lambda x, y: squared_error(x.detach(), y.detach()))
            assert bool(list(_unnoticed(sample, try_versions(TOPIC, sample)))) == (told and test is by_value)


def test_0_and_nan_are_exchanged():
    for value in [0, 0.0, math.nan, torch.tensor([0.0, 2.0]), torch.tensor([math.nan])]:
        changed = edges_exchanged(value)
        assert torch.equal(torch.as_tensor(changed).isnan(), torch.as_tensor(value) == 0)


def test_a_result_without_edges_stays_itself():
    for value in [1, 0.5, False, "0", torch.ones(2), torch.tensor([0, 1])]:
        assert edges_exchanged(value) is value


def test_a_test_that_looks_at_type_and_arguments_fails_every_version():
    def strict(answer):
        x, y = torch.tensor([1.0, -1.0]), torch.ones(2)
        mask = answer(x, y)
        assert isinstance(mask, torch.Tensor)
        assert mask.dtype == torch.bool
        assert_close(x, torch.tensor([1.0, -1.0]))
        assert_close(y, torch.ones(2))

    tried = try_versions(TOPIC, made("Returns a bool mask.", strict))
    assert set(tried) == {"float", "int", "NumPy", "in a tuple", "changes x", "changes y"}
    assert not any(found.passed for found in tried.values())


def test_a_test_that_looks_at_values_alone_passes_versions_of_other_types():
    def lenient(answer):
        x = torch.tensor([1.0, -1.0])
        assert_close(answer(x, torch.ones(2)), torch.tensor([True, False]))

    tried = try_versions(TOPIC, made("Returns a bool mask.", lenient))
    assert tried["NumPy"].survives
    assert tried["changes x"].survives
    assert not tried["in a tuple"].survives


def test_a_version_changes_the_type_of_tensors():
    for name, value, made in [
        ("float", torch.tensor([1.0], dtype=torch.float64), torch.float32),
        ("half", torch.ones(1), torch.float16),
        ("int", torch.tensor([True]), torch.int32),
    ]:
        assert results_as()[name](value).dtype == made


def test_a_version_that_would_change_nothing_does_not_apply():
    for name, value in [
        ("float", torch.ones(1)),
        ("half", torch.tensor([True])),
        ("int", torch.ones(1)),
        (".item()", torch.ones(1)),
        ("no_grad", torch.ones(1)),
        ("NumPy", 3.0),
    ]:
        version = Version(lambda value=value: (value, [value]), results_as()[name])
        version()
        assert not version.applied


def test_a_version_reaches_the_tensors_in_lists_and_tables():
    version = Version(lambda: {"a": [torch.ones(1)]}, results_as()["half"])
    assert version()["a"][0].dtype == torch.float16
    assert version.applied


def test_only_lists_tuples_and_tables_of_several_items_have_an_order():
    assert reversed_order([1, 2]) == [2, 1]
    assert list(reversed_order({"a": 1, "b": 2})) == ["b", "a"]
    one = [1]
    assert reversed_order(one) is one
    assert in_a_tuple(3) == (3,)


def test_an_argument_is_changed_after_the_result_is_there_and_not_where_the_result_shares_it():
    x = torch.ones(2)
    assert torch.equal(Spoiler(lambda x: x * 2, "x", 0)(x), torch.tensor([2.0, 2.0]))
    assert torch.equal(x, torch.tensor([2.0, 2.0]))
    numbers, same = [1], Spoiler(lambda x: x, "x", 0)
    assert same(x=numbers) == [1]
    assert not same.applied


def test_the_table_has_a_line_for_each_exercise_with_versions_that_no_test_notices():
    said = _table({"merge": {"half": Tried(1, 3), "int": Tried(2, 2), "NumPy": Tried(1, 1)}, "count": {}})
    assert said.splitlines() == [
        "versions of the solutions that the tests miss: 2 of 3",
        "merge: int, NumPy",
    ]
    assert _table({"merge": {"half": Tried(1, 3)}}).splitlines()[1:] == []


def test_the_check_finds_a_promise_of_the_sample_topic_that_is_not_kept(copy_sample):
    old = "delay is 1 or more; gain is any number; length is how many samples to give, 1 or more. Returns a list."
    promise = Damage("", "promises", "exercises.py", f"{old} Returns the first ones in their order given.", old)
    with open_subject(str(copy_sample(promise)), SMOKE) as subject:
        finding = promises(subject)
    assert list(finding.problems) == []
    assert "response" not in finding.summary


def test_a_value_on_which_mistakes_agree_is_degenerate():
    for value, said in [
        (0, "= 0"),
        (1, "= 1"),
        (True, ""),
        (3, ""),
        (torch.ones(3, 2), "whose values are all equal"),
        (torch.eye(3), "with two axes of equal length"),
        (torch.arange(6.0).view(2, 3), ""),
        (torch.tensor(1.0), ""),
    ]:
        assert degenerate(value) == said


def asking(*sizes):
    def test(answer):
        for size in sizes:
            answer(size, 5)

    return test


def test_a_test_that_begins_with_a_degenerate_case_and_has_a_better_one_is_advised():
    for sizes, advised in [((1, 3), True), ((3, 1), False), ((1,), False), ((0, 1), False)]:
        said = "".join(degenerate_cases(TOPIC, made("Returns x.", asking(*sizes), lambda x, y: x)))
        assert ("`x` = 1, so many mistakes give the same result" in said) == advised


def test_a_single_value_is_no_better_case():
    def squares(answer):
        for size in (3, 1):
            answer(torch.rand(size, size), 5)

    assert list(degenerate_cases(TOPIC, made("Returns x.", squares, lambda x, y: x))) == []


def test_declared_arguments_are_a_promise_that_a_test_has_to_look_at():
    for mutates, told in [(None, False), ((), True), (("x", "y"), False)]:
        sample = replace(made("Returns the error.", by_value, squared_error), mutates_args=mutates)
        said = [
            line for line in _unnoticed(sample, try_versions(TOPIC, sample)) if "The arguments stay as they are" in line
        ]
        assert bool(said) == told
        test = replace(sample.tests[0], mutates_args=())
        looking = replace(sample, tests=[test])
        said = [line for line in _unnoticed(looking, try_versions(TOPIC, looking)) if "The arguments stay" in line]
        assert said == []
