"""What is said of wrong answers without a name, and what is not."""

from __future__ import annotations

import math

import torch
from studium import exercise

X = torch.tensor([[1.0, 2.0, 4.0], [8.0, 16.0, 33.0]])
Y = torch.tensor([[5.0, 1.0], [2.0, 7.0], [3.0, 11.0]])


def product(a, b):
    return a @ b


def row_sums(x):
    return x.sum(-1)


def scaled(x, heads):
    return x * heads


def both(x):
    return x.mean(-1), x.amax(-1)


def causal(x, causal=False):
    return x.tril() if causal else x


def squares(x):
    return x**2


def spread(x, eps):
    return x / (x.sum(-1, keepdim=True) + eps)


def masked(x, mask):
    return x.masked_fill(mask, 0.0)


def grown(x):
    return x + 1


MASK = torch.tensor([[True, False, True], [False, False, True]])

SAID = {
    "reversed": (grown, [(X,)], lambda x: (x + 1).flip(0), "Your rows are in reverse order."),
    "last-axes": (lambda x: x * 2, [(torch.randn(2, 3, 4),)], lambda x: (x * 2).mT, "last two axes exchanged"),
    "negative": (squares, [(X,)], lambda x: -(x**2), "Yours is the negative of the right result."),
    "logarithm": (squares, [(X,)], lambda x: 2 * x.log(), "Yours is the logarithm of the right result."),
    "softmax missing": (lambda x: x.softmax(-1), [(X,)], lambda x: x + 0, "right result is the softmax of yours."),
    "no reduction": (row_sums, [(X,)], lambda x: x + 0, "You did not add up over the last axis."),
    "last row": (grown, [(X.T,)], lambda x: (x + 1)[:-1], "The last row is missing."),
    "exchanged": (both, [(X,)], lambda x: both(x)[::-1], "Your two results are exchanged."),
    "one of two": (both, [(X,)], lambda x: x.amax(-1), "Your function returns only the second of 2 results."),
    "nothing": (both, [(X,)], lambda x: print(x), "Your function returns None: is a `return` missing?"),
    "a list": (row_sums, [(X,)], lambda x: x.sum(-1).tolist(), "returns the right values as another type"),
    "changed": (squares, [(X.clone(),)], lambda x: x.mul_(3), "Your function changes its argument `x`"),
    "unused": (spread, [(X, 0.5)], lambda x, eps: x / x.sum(-1, keepdim=True), "never uses its argument `eps`"),
    "named factor": (scaled, [(X, 2), (X, 3), (X, 5)], lambda x, heads: x * heads * heads, "times `heads`"),
    "constant": (grown, [(X,), (Y,), (X * 3,)], lambda x: x + 1.25, "Yours is always 0.25 too large."),
    "mask": (masked, [(X, MASK)], lambda x, mask: x + 0 * mask, "except where `mask` is True"),
    "as if": (
        causal,
        [(X, True), (Y, True)],
        lambda x, causal=False: x if causal else x.tril(),
        "with `causal` inverted",
    ),
    "one part": (
        both,
        [(X,), (Y,)],
        lambda x: (x.mean(-1), x.amin(-1) - x.amax(-1) ** 2),
        "Your first result is right",
    ),
    "one key": (
        lambda x: {"sum": x.sum(), "size": x.numel()},
        [(X,), (Y,)],
        lambda x: {"size": len(x), "sum": x.sum()},
        "Your result is right except at `size`.",
    ),
    "division by the sum": (
        lambda x: x / x.sum(-1, keepdim=True),
        [(X,)],
        lambda x: x + 0,
        "The right result is what division by the sum makes of yours.",
    ),
    "not finite": (lambda x: x + 1, [(X,)], lambda x: torch.where(x > 3, math.nan, x * 1.7), "Your result holds NaN"),
}


def test_a_relation_or_certainty_is_said(made, told):
    for name, (solution, calls, answer, words) in SAID.items():
        if solution.__name__ == "<lambda>":
            solution.__name__ = "solved"
        found = told(made(solution, *calls), answer)
        assert (words in found.mistake, found.mistake_id) == (bool(words), ""), name


def test_nothing_is_said_of_one_number(made, told):
    def length(x):
        return float(len(x))

    assert told(made(length, ([1, 2, 3],)), lambda x: 6.0 + 0 * len(x)).mistake == ""


def test_nothing_is_said_that_one_wrong_call_contradicts(made, told):
    found = told(
        made(squares, (X,), (Y,)), lambda x: -(x**2) if x is not None and x[0, 0] == 1 else x**2 + x[0, 0] ** x
    )
    assert "negative" not in found.mistake


def test_right_values_that_are_cut_off_or_in_another_dtype_are_told_apart():
    @exercise(points=1, minutes=1)
    def doubled(x):
        return 2 * x

    @doubled.test("lets gradients through, in the dtype of x", points=1)
    def _(doubled):
        found = doubled(torch.ones(3, requires_grad=True))
        assert found.requires_grad
        assert found.dtype == torch.float32

    from studium.exercises.checking import check

    assert "cut off" in check("sample", doubled, lambda x: (2 * x).detach(), seconds=60).said
    assert "in float64 where float32 is expected" in check("sample", doubled, lambda x: 2 * x.double(), seconds=60).said


def test_a_callback_that_is_called_too_often_is_told(made, told):
    def guided(f, x, s):
        return s * f(x)

    def twice(f, x, s):
        return s * f(f(x))

    own = made(guided, (torch.exp, X, 2.0), (torch.sin, X, 0.5))
    assert told(own, twice).mistake == "Your function calls `f` twice, and should call it once."


def test_an_own_error_is_told_by_the_arguments_that_do_not_fit(made, told):
    def noised(x0, t):
        return x0 * t[:, None]

    own = made(noised, (torch.ones(6, 2), torch.arange(6.0)))
    found = told(own, lambda x0, t: x0 * t)
    assert "`t` has shape (6,) and `x0` (6, 2); give `t` an axis of size 1 at the end" in found.said


def test_a_sentence_that_holds_a_number_is_not_said_from_hidden_tests(made, told):
    calls = [(X,), (Y,), (X * 3,)]
    own = made(grown, (torch.zeros(0, 3),), hidden=calls)
    assert "0.25" not in told(own, lambda x: x + 1.25).mistake


def test_a_sentence_without_a_number_is_said_from_hidden_tests(made, told):
    own = made(squares, (torch.zeros(0, 3),), hidden=[(X,)])
    assert told(own, lambda x: -(x**2)).mistake == "Yours is the negative of the right result."


def test_a_condition_is_said_only_where_crossing_confirms_it(made, told):
    def summed(x, weights=None, start=0):
        return (x if weights is None else x * weights).sum() + start

    calls = [(X, X, 5), (X, X + 1, 5), (X, None, 0), (Y, None, 0), (X, None, 5)]
    own = made(summed, *calls)

    def answer(x, weights=None, start=0):
        return (x if weights is None else x * (weights.abs() + weights.mean().cos())).sum() + start

    assert told(own, answer).mistake == "Wrong only where `weights` is given."


def test_in_the_public_edition_nothing_is_said(made, told):
    own = made(squares, (X,))
    own.public = True
    assert told(own, lambda x: -(x**2)).mistake == ""


def test_with_no_time_left_the_verdict_is_the_same_and_nothing_is_said(made, told):
    found = told(made(squares, (X,)), lambda x: -(x**2), seconds=0)
    assert (found.outcome, found.mistake, found.smallest) == ("wrong", "", "")


def test_an_answer_that_never_ends_on_a_smaller_call_is_told_all_the_same(made, told):
    def endless(x):
        while len(x) < 2:
            pass
        return -(x**2)

    found = told(made(squares, (X,)), endless, seconds=0.5)
    assert found.outcome == "wrong"


def test_an_error_that_a_test_raises_in_a_callback_is_not_blamed_on_the_answers_line(tmp_path):
    file = tmp_path / "answered.py"
    file.write_text("def stepped(model):\n    return model(1)\n")
    names = {}
    exec(compile(file.read_text(), str(file), "exec"), names)

    @exercise(points=1, minutes=1)
    def stepped(model):
        return model(0)

    @stepped.test("calls the model", points=1)
    def _(stepped):
        def model(x):
            return [][x]

        stepped(model)

    import linecache

    from studium.exercises.checking import check

    linecache.checkcache(str(file))
    result = check("sample", stepped, names["stepped"], seconds=60)
    assert result.tests[0].message.startswith("the test's own code raised IndexError: list index out of range, where ")
    assert result.said == ""


def test_a_name_that_fits_few_whole_numbers_by_accident_is_not_said(made, told):
    def fit(memory, size):
        return memory // (2 * size)

    own = made(fit, (19, 4), (13, 3))
    assert told(own, lambda memory, size: memory // (2 * size - 1)).mistake == ""


def test_a_constant_answer_is_no_factor(made, told):
    def scale(x, s):
        return torch.where(x > 0, s, 1.0)

    own = made(scale, (torch.ones(3), 2.0), (torch.ones(4), 5.0), (torch.ones(2), 3.0))
    assert "divided" not in told(own, lambda x, s: torch.where(x > s, s, 1.0)).mistake


def test_a_cut_on_which_the_right_result_is_not_a_number_is_not_shown(made, told):
    def spread_of(x):
        return x.std(-1)

    own = made(spread_of, (X,))
    assert "nan" not in told(own, lambda x: x.square().mean(-1).sqrt()).smallest


def test_whole_numbers_in_reverse_are_not_told_as_an_order(made, told):
    def ranked(scores):
        return scores.argsort(descending=True)

    own = made(ranked, (torch.tensor([0.5, 0.7, 0.9, 0.8]),))
    assert "reverse" not in told(own, lambda scores: scores.argsort()).mistake


def test_a_relation_that_right_calls_contradict_is_said_of_the_others(made, told):
    def halved(x):
        return x / 2

    own = made(halved, (X,), (-X,))
    assert (
        told(own, lambda x: x.abs() / 2).said
        == "In the calls that go wrong, yours is the negative of the right result."
    )


def test_right_answers_may_have_their_keys_in_another_order(made, told):
    def counted(x):
        return {"sum": x.sum(), "largest": x.amax()}

    own = made(counted, (X,), (Y,), also=[lambda x: {"largest": x.amax(), "sum": x.sum()}])
    assert "except at `largest`" in told(own, lambda x: {"sum": x.sum(), "largest": x.amin() - 7}).mistake
