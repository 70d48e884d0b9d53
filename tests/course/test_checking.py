from __future__ import annotations

from functools import partial

import pytest
import torch
from studium import assert_close, exercise
from studium.catalogue.catalogue import load_catalogue
from studium.exercises.checking import check, is_blank, shown_failure
from studium.exercises.observation import Recorder


@pytest.fixture
def merge(sample):
    return load_catalogue()["sample"].exercises["merge"]


def right(weight, a, b, alpha):
    return torch.einsum("or,ri->oi", b, a) * (alpha / len(a)) + weight


def unscaled(weight, a, b, alpha):
    return weight + alpha * (b @ a)


def in_place(weight, a, b, alpha):
    weight += alpha / a.shape[0] * (b @ a)
    return weight


def transposed(weight, a, b, alpha):
    return weight + a @ b


def exits(weight, a, b, alpha):
    raise SystemExit(0)


def unfinished(weight, a, b, alpha):
    if alpha == 1:
        return weight
    raise NotImplementedError


def documented(weight, a, b, alpha):
    """Only words."""


def test_a_right_answer_in_another_style_is_right(merge):
    result = check("sample", merge, right)
    assert (result.outcome, result.points, result.mistake_id) == ("right", 3, "")


def test_what_nobody_has_written_is_not_attempted(merge):
    for answer in [None, documented, lambda weight, a, b, alpha: ..., 7]:
        assert check("sample", merge, answer).outcome == "not attempted"


def test_the_stub_is_not_attempted(merge):
    def stub(weight, a, b, alpha):
        raise NotImplementedError

    assert check("sample", merge, stub).outcome == "not attempted"


def test_an_answer_that_is_half_there_is_wrong(merge):
    assert check("sample", merge, unfinished).outcome == "wrong"


def test_a_function_that_returns_a_constant_is_not_blank():
    assert not is_blank(lambda: 3)


def test_a_wrong_answer_keeps_the_points_of_the_tests_that_pass(merge):
    result = check("sample", merge, unscaled)
    assert (result.outcome, result.points, result.max_points) == ("wrong", 1, 3)


def test_a_result_names_a_mistake_by_its_id_and_the_exercise_knows_the_sentence(merge):
    found = check("sample", merge, unscaled).mistake_id
    assert found == "sample.merge:scaled-by-alpha"
    assert merge.sentence_of(found) == "You scaled by alpha; LoRA scales by alpha / r."


def test_a_mistake_that_shows_only_in_the_arguments_is_named_too(merge):
    assert check("sample", merge, in_place).mistake_id == "sample.merge:changed-in-place"


def test_an_unknown_mistake_is_not_named(merge):
    result = check("sample", merge, lambda weight, a, b, alpha: weight - b @ a)
    assert (result.outcome, result.mistake_id) == ("wrong", "")


def test_of_mistakes_without_a_name_the_first_failure_is_shown(merge):
    result = check("sample", merge, lambda *given: torch.zeros(2))
    assert shown_failure(result) == result.tests[0]


def test_the_message_names_the_first_difference(merge):
    assert "at index [0, 0] expected" in check("sample", merge, unscaled).tests[1].message


def test_an_exception_is_explained_with_its_line_and_no_traceback(merge):
    message = check("sample", merge, transposed).tests[0].message
    assert message.startswith("transposed raised RuntimeError: ")
    assert message.endswith("in the line `return weight + a @ b`")
    assert "\n" not in message


def test_an_answer_that_exits_is_wrong_and_stops_nothing(merge):
    assert check("sample", merge, exits).outcome == "wrong"


def test_a_result_of_the_wrong_kind_is_explained(merge):
    message = check("sample", merge, lambda weight, a, b, alpha: (weight, a)).tests[0].message
    assert message.startswith("merge returned a tuple of 2, which could not be used: AttributeError")


def test_an_exception_under_a_decorator_is_explained_with_the_line_of_the_answer(merge):
    message = check("sample", merge, torch.no_grad()(transposed)).tests[0].message
    assert message.startswith("transposed raised RuntimeError: ")
    assert message.endswith("in the line `return weight + a @ b`")


def test_an_exception_without_a_line_of_the_answers_own_is_not_called_a_result(merge):
    message = check("sample", merge, partial(transposed)).tests[0].message
    assert message.startswith("merge raised RuntimeError: ")


def test_an_error_after_an_exception_that_the_test_expects_is_not_laid_on_a_result():
    @exercise(points=1, minutes=1)
    def half(number):
        return number / 2

    @half.test("refuses words", points=1)
    def _(half):
        try:
            half("two")
        except ValueError:
            raise KeyError("two") from None

    message = check("sample", half, int).tests[0].message
    assert message == "half raised ValueError, and the test ended with KeyError: 'two'"


def test_an_answer_that_changes_an_argument_is_told_so_first_with_both_values(merge):
    def doubles(weight, a, b, alpha):
        weight *= 2
        return weight

    message = check("sample", merge, doubles).tests[1].message
    assert message.startswith("merge changed its argument `weight`, which must stay as it is: at index [0, 0] it was ")
    assert " and is now " in message


def test_an_argument_that_the_solution_changes_too_is_not_told():
    @exercise(points=1, minutes=1)
    def fill(numbers):
        numbers.append(1)
        return numbers

    @fill.test("appends a 1", points=1)
    def _(fill):
        assert_close(fill([0]), [0, 1])

    assert check("sample", fill, lambda numbers: numbers.append(2)).tests[0].message.startswith("expected [0, 1]")


def test_a_numpy_array_in_the_place_of_a_tensor_is_told(merge):
    message = check("sample", merge, lambda weight, a, b, alpha: (weight + b @ a).numpy()).tests[1].message
    assert message.endswith("(merge returned a NumPy array, and a tensor is expected)")


def fresh(source, **names):
    """The functions of a notebook cell with this source."""
    names |= {"torch": torch}
    exec(source, names)
    return names


QUADRUPLE = "def quadruple(x):\n    return twice(twice(x))"


@pytest.fixture
def doubling(merge):
    exercises = load_catalogue()["sample"].exercises

    @exercise(points=1, minutes=1)
    def quadruple(x):
        return 4 * x

    @quadruple.test("multiplies by 4", points=1)
    def _(quadruple):
        assert_close(quadruple(2.0), 8.0)

    return {"twice": exercises["twice"], "quadruple": quadruple}


def test_a_right_answer_that_calls_one_that_is_not_right_is_told_which(doubling):
    for earlier, state in [
        ("def twice(x):\n    raise NotImplementedError", "is not written yet; write twice first"),
        ("def twice(x):\n    return 3 * x", "is not right yet; correct twice first"),
    ]:
        names = fresh(f"{earlier}\n\n{QUADRUPLE}")
        result = check("sample", doubling["quadruple"], names["quadruple"], beside=doubling)
        assert (result.outcome, result.points) == ("wrong", 0)
        assert result.tests[0].message == f"quadruple is right, but it calls twice, which {state}"


def test_an_answer_that_calls_one_that_is_not_written_is_attempted(doubling):
    names = fresh(f"def twice(x):\n    raise NotImplementedError\n\n{QUADRUPLE} + 1")
    result = check("sample", doubling["quadruple"], names["quadruple"], beside=doubling)
    assert result.outcome == "wrong"
    assert result.tests[0].message == "quadruple calls twice, which is not written yet; write twice first"


def test_a_wrong_answer_that_calls_a_right_one_is_told_its_own_mistake(doubling):
    names = fresh(f"def twice(x):\n    return 2 * x\n\n{QUADRUPLE} + 1")
    message = check("sample", doubling["quadruple"], names["quadruple"], beside=doubling).tests[0].message
    assert message == "expected 8, got 9"


def test_an_operation_that_a_library_lacks_is_no_answer_that_is_not_written(merge):
    names = fresh("def merge(*given):\n    return torch.nn.Module().forward(*given)")
    assert check("sample", merge, names["merge"]).outcome == "wrong"


def test_a_call_without_gradients_is_replayed_without_them():
    recorder = Recorder(lambda x: x)
    with torch.no_grad():
        recorder.wrapped()(torch.ones(1))
    recorder.wrapped()(torch.ones(1))
    assert [call.replay(lambda x: torch.is_grad_enabled()).result for call in recorder.calls] == [False, True]


def test_functions_in_an_argument_are_not_compared_and_what_is_beside_them_is():
    recorder = Recorder(lambda models, sizes: len(models))
    for scale, sizes in ((2.0, [3]), (5.0, [3]), (2.0, [4])):
        recorder.wrapped()({"twice": lambda x, scale=scale: scale * x}, sizes)
    first, other_function, other_sizes = (call.observed for call in recorder.calls)
    assert first.matches(other_function)
    assert not first.matches(other_sizes)


def test_checking_leaves_the_random_numbers_of_torch_alone(merge):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    check("sample", merge, unscaled)
    assert torch.equal(torch.get_rng_state(), before)


def test_another_draw_tests_other_data(merge):
    first, second = (check("sample", merge, unscaled, draw=draw).tests[1].message for draw in (0, 1))
    assert first != second


def test_a_test_that_cannot_fail_would_be_seen(merge):
    assert check("sample", merge, lambda *args: torch.zeros(3, 4)).points < 3
