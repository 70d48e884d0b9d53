from __future__ import annotations

import pytest
import torch
from studium.catalogue import load_catalogue
from studium.checking import check, is_blank, shown_failure
from studium.observation import Recorder


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


@pytest.mark.parametrize("answer", [None, documented, lambda weight, a, b, alpha: ..., 7])
def test_what_nobody_has_written_is_not_attempted(merge, answer):
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
    message = check("sample", merge, lambda weight, a, b, alpha: print).tests[0].message
    assert message.startswith("the result could not be used: AttributeError")


def test_a_call_without_gradients_is_replayed_without_them():
    recorder = Recorder(lambda x: x)
    with torch.no_grad():
        recorder.wrapped()(torch.ones(1))
    recorder.wrapped()(torch.ones(1))
    assert [call.replay(lambda x: torch.is_grad_enabled()).result for call in recorder.calls] == [False, True]


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
