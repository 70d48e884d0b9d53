"""Permission, changes, callbacks and refusals."""

from __future__ import annotations

import copy
import itertools
import random

import numpy as np
import pytest
import torch
from studium_graders.course.limits import Limits
from studium_graders.engine.judge_side.student_gone import StudentGone
from studium_graders.engine.wire.codec import RefusedError

CELL = """
import torch

def clear(xs):
    xs.clear()
    return xs
def sort(xs): xs.sort()
def same(xs): return xs
def grow(xs):
    xs.append(9)
    return xs
def grow_inside(ys):
    ys[0].append(9)
    return ys
def walk(f, x):
    x += f(x)
    return x
def minus(p, x): p.data -= x
def shift(p): p += 1
def draw(rng): return torch.randn(2, generator=rng)
def roll(rng): return rng.random()
def call(f, *args): return f(*args)
def twice(f): return f(1) + f(2)
def take(n, items): return [next(items) for _ in range(n)]
def fill(f):
    xs = [1]
    f(xs)
    return xs
def append_then(xs, f):
    xs.append(2)
    return f()
def look(f): return f.__code__
def keep(f):
    global kept
    kept = f
def call_kept(): return kept()
def swallow(f):
    try:
        f()
    except Exception as error:
        return type(error).__name__ + ":" + str(error)
def is_one(a, b): return a is b
class Box:
    def __init__(self, xs): self.xs = xs
    def add(self, x): self.xs.append(x)
    def get(self): return self.xs
    def __iter__(self): return iter([1, 2])
    def __len__(self): return 2
    def __eq__(self, other): return True
    __hash__ = None
def box(xs): return Box(xs)
def numbers():
    yield 1
    yield 2
"""


@pytest.fixture(scope="module")
def student(shell):
    from .forking import Forked

    running = Forked(shell)
    yield running.student(CELL)
    running.kill()


NONE = frozenset()

# ------------------------------------------------------------------------------------------------ changes


def test_a18_arguments_emptied_in_place_earn_nothing(student):
    """``xs.clear(); return xs`` where the reference returns a sorted copy: once withheld, once applied."""

    def test(function):
        xs = [2, 1]
        found = function(xs)
        assert found == sorted(xs)

    with student.test(NONE) as watched, pytest.raises(AssertionError):
        test(student.get("clear"))
    assert watched.withheld


def test_an_argument_that_comes_back_changed_comes_with_its_change(student):
    """Where the reference gives an argument back as it was, a changed one is a copy, and the test's own stays."""
    argument, xs = frozenset({"argument"}), [3]
    with student.test(argument) as watched:
        assert student.get("same")(xs) is xs
        assert student.get("grow")(xs) == [3, 9]
        assert student.get("grow_inside")([xs]) == [[3, 9]]
    assert (xs, watched.withheld) == ([3], True)
    with student.test(argument, applied=True):
        assert student.get("grow")(xs) is xs
    assert xs == [3, 9]


def test_a_walk_in_place_gives_the_end_of_the_walk(student):
    """The callback sees each step, and the result is the last one."""
    x = torch.ones(2)
    with student.test(frozenset({"argument"})) as watched:
        assert student.get("walk")(lambda at: 2 * at, x).tolist() == [3, 3]
    assert (x.tolist(), watched.withheld) == ([1, 1], True)


def test_g31_a_change_that_no_second_run_bears_is_found(student):
    def test(function):
        xs = [1, 2]
        function(xs)
        assert xs == [1, 2]

    with student.test(NONE) as watched:
        test(student.get("clear"))
    assert watched.withheld
    with student.test(NONE, applied=True), pytest.raises(AssertionError):
        test(student.get("clear"))


def test_g32_a_change_comes_back_where_the_reference_makes_one(student):
    xs = [3, 1, 2]
    with student.test(None) as watched:
        student.get("sort")(xs)
    assert (xs, watched.noted) == ([1, 2, 3], {"changes"})
    with student.test(frozenset(watched.noted)) as watched:
        student.get("clear")(xs)
    assert (xs, watched.withheld) == ([], False)


@pytest.mark.parametrize("name", ["minus", "shift"])
def test_a_change_that_moves_no_version_counter_is_found(student, name):
    """The first trap: ``p.data -= x``."""
    for value in (torch.zeros(3), np.zeros(3)):
        if name == "minus" and isinstance(value, np.ndarray):
            continue
        before = copy.deepcopy(value)
        args = (value, 1.0) if name == "minus" else (value,)
        with student.test(NONE) as watched:
            student.get(name)(*args)
        assert watched.withheld
        assert (value == before).all()
        with student.test(None) as watched:
            student.get(name)(*args)
        assert watched.noted == {"changes"}
        assert not (value == before).any()


def test_a_generator_moves_on_and_only_with_permission(student):
    rng, twin = torch.Generator().manual_seed(1), torch.Generator().manual_seed(1)
    with student.test(frozenset({"changes"})):
        assert torch.equal(student.get("draw")(rng), torch.randn(2, generator=twin))
        assert torch.equal(torch.randn(2, generator=rng), torch.randn(2, generator=twin))
    with student.test(NONE):
        student.get("draw")(rng)
    assert torch.equal(torch.randn(2, generator=rng), torch.randn(2, generator=twin))


def test_generators_of_python_and_numpy_move_on_as_well(student):
    for make in (random.Random, np.random.default_rng):
        with student.test(frozenset({"changes"})):
            rng, twin = make(4), make(4)
            assert [student.get("roll")(rng), student.get("roll")(rng)] == [twin.random(), twin.random()]
            assert rng.random() == twin.random()


def test_an_argument_comes_back_as_itself_where_the_reference_gives_it_back(student):
    xs = [1, [2]]
    with student.test(None) as watched:
        assert student.get("same")(xs) is xs
    assert watched.noted == {"argument"}
    with student.test(NONE) as watched:
        back = student.get("same")(xs)
        assert back == xs
        assert back is not xs
        assert back[1] is not xs[1]
    assert watched.refusal is None


def test_an_object_may_keep_its_arguments_to_the_end_of_a_test(student):
    xs = [1]
    with student.test(None) as watched:
        box = student.get("box")(xs)
        box.add(5)
        assert xs == [1, 5]
        assert box.get() is xs
    assert watched.noted == {"remote", "kept", "changes", "argument"}
    with student.test(frozenset({"remote", "changes", "argument"})) as watched:
        box = student.get("box")(xs)
        box.add(6)
        assert xs == [1, 5]


@pytest.mark.parametrize("blind", [lambda result, given: result.mul_(0), lambda result, given: given.zero_()])
def test_a_test_that_changes_what_has_crossed_is_found(student, blind):
    for call_again in (False, True):
        with student.test(None) as watched:
            given = torch.ones(3)
            blind(student.get("call")(torch.neg, given), given)
            if call_again:
                student.get("same")([1])
        assert watched.changed_later


def test_a_test_that_changes_what_it_sends_again_is_not_found(student):
    with student.test(None) as watched:
        given = [1]
        student.get("sort")(given)
        given.append(0)
        student.get("sort")(given)
    assert given == [0, 1]
    assert not watched.changed_later


# ------------------------------------------------------------------------------------------------ callbacks


def test_functions_and_iterators_of_a_test_are_called(student):
    with student.test(NONE):
        assert student.get("twice")(lambda x: 10 * x) == 30
        assert student.get("take")(3, itertools.count(5)) == [5, 6, 7]
        seen = []
        student.get("call")(seen.append, 4)
        assert seen == [4]


def test_a_function_of_a_library_goes_by_its_name(student):
    with student.test(NONE):
        assert student.get("call")(len, [1, 2]) == 2
        assert student.get("call")(torch.nn.functional.relu, torch.tensor(-1.0)) == 0


def test_changes_go_along_with_callbacks_in_both_directions(student):
    with student.test(None):
        assert student.get("fill")(lambda xs: xs.append(2)) == [1, 2]
        xs = [1]
        assert student.get("append_then")(xs, lambda: len(xs)) == 2


def test_what_is_withheld_is_there_while_a_callback_runs(student):
    xs = [1]
    with student.test(NONE) as watched:
        assert student.get("append_then")(xs, lambda: len(xs)) == 2
    assert (xs, watched.withheld) == ([1], True)


def test_what_is_one_object_in_the_test_is_one_there(student):
    xs = [1]

    def function():
        return xs

    with student.test(None):
        assert student.get("is_one")(xs, xs)
        assert student.get("is_one")(function, function)
        assert not student.get("is_one")(xs, [1])


def test_a_look_inside_a_callback_that_ends_in_an_error_is_a_refusal(student):
    with student.test(NONE) as watched, pytest.raises(TypeError, match="looks at __code__ of a function of the test"):
        student.get("look")(lambda: 1)
    assert watched.refusal is not None


def test_a_callback_is_closed_when_its_test_has_ended(student):
    called = []
    with student.test(NONE):
        student.get("keep")(lambda: called.append(1))
        student.get("call_kept")()
    with student.test(NONE), pytest.raises(RuntimeError, match="a test that has ended"):
        student.get("call_kept")()
    assert called == [1]


def test_what_a_callback_raises_comes_back_as_itself_and_an_assertion_tells_nothing(student):
    class OwnError(Exception):
        pass

    error = OwnError("mine")

    def failing():
        raise error

    def asserting():
        raise AssertionError("the secret number is 42")

    with student.test(NONE):
        with pytest.raises(OwnError) as caught:
            student.get("call")(failing)
        assert caught.value is error
        assert student.get("swallow")(asserting) == "AssertionError:"
        with pytest.raises(AssertionError, match="42"):
            student.get("call")(asserting)


def test_calls_nest(student):
    with student.test(NONE):
        call = student.get("call")
        assert call(lambda: call(lambda: call(lambda: 7))) == 7


def test_endless_nesting_ends(student):
    def again():
        return student.get("call")(again)

    with student.test(NONE), pytest.raises(RecursionError):
        again()


@pytest.mark.parametrize(
    "make",
    [
        lambda: type("Own", (), {})(),
        lambda: torch.ones(3).to_sparse(),
        lambda: torch.nn.UninitializedParameter(),
    ],
    ids=["own", "sparse", "uninitialized"],
)
def test_what_cannot_be_sent_is_refused_and_nothing_was_sent(student, make):
    value = make()
    with student.test(None) as watched, pytest.raises(TypeError):
        student.get("same")(value)
    assert watched.refusal is not None
    with student.test(NONE):
        assert student.get("same")(1) == 1


def test_what_a_callback_returns_and_cannot_be_sent_is_refused_and_the_conversation_goes_on(student):
    with student.test(None) as watched:
        with pytest.raises(Exception, match="own class"):
            student.get("call")(lambda: type("Own", (), {})())
        assert student.get("same")(1) == 1
    assert watched.refusal is not None


def test_a_mode_that_watches_operators_is_refused(student):
    from torch.utils.flop_counter import FlopCounterMode

    with student.test(None) as watched, FlopCounterMode(display=False), pytest.raises(TypeError):
        student.get("same")(1)
    assert watched.refusal is not None
    with student.test(None) as watched, torch.device("meta"):
        assert student.get("same")(torch.ones(2, device="cpu")).device.type == "cpu"


# ------------------------------------------------------------------------------------------------ refusals

USES = [
    bool,
    len,
    str,
    repr,
    hash,
    int,
    float,
    list.__len__ and (lambda r: r == 1),
    lambda r: r != 1,
    lambda r: r < 1,
    lambda r: 1 in r,
    lambda r: r[0],
    lambda r: r + 1,
    lambda r: 1 + r,
    lambda r: -r,
    lambda r: f"{r}",
    lambda r: f"{r:.2f}",
    lambda r: isinstance(r, list),
    lambda r: setattr(r, "x", 1),
    lambda r: delattr(r, "x"),
    lambda r: r._private,
    lambda r: r.__class__,
    lambda r: r.__enter__(),
    lambda r: np.asarray(r),
    lambda r: np.add(r, 1),
    lambda r: torch.add(r, torch.ones(1)),
    lambda r: torch.ones(1) + r,
    lambda r: torch.allclose(r, torch.ones(1)),
    lambda r: sorted([r, r]),
    lambda r: np.testing.assert_allclose(r, [1, 2]),
    lambda r: torch.testing.assert_close(r, torch.ones(2)),
    lambda r: dir(r),
    lambda r: reversed(r),
    lambda r: copy.replace(r) if hasattr(copy, "replace") else r._replace(),
]


def is_refused(use, box):
    try:
        use(box)
    except TypeError:
        return True
    return False


def test_a_use_of_a_remote_is_refused_and_the_refusal_sticks(student):
    """The last trap: whoever catches it, as ``pytest.raises`` does, gets no points for it."""
    for number, use in enumerate(use for use in USES if use is not hash):
        with student.test(None) as watched:
            box = student.get("box")([])
            assert is_refused(use, box), number
        assert isinstance(watched.refusal, RefusedError), number


def test_a_list_of_a_remote_is_its_items_though_list_asks_for_a_length(student):
    """The third trap: ``list`` takes a TypeError for no length, and the refusal of a hint does not stick."""
    with student.test(None) as watched:
        assert list(student.get("box")([])) == [1, 2]
        assert [*student.get("numbers")()] == [1, 2]
        assert sorted(student.get("box")([])) == [1, 2]
    assert watched.refusal is None
    with student.test(None) as watched, pytest.raises(TypeError):
        len(student.get("box")([]))
    assert watched.refusal is not None


def test_a_remote_goes_back_as_its_object_and_one_object_has_one(student):
    with student.test(None):
        box = student.get("box")([])
        assert student.get("is_one")(box, box)
        assert student.get("same")(box) is box


@pytest.mark.parametrize(("name", "given", "word"), [("box", [1], "remote"), ("numbers", None, "remote")])
def test_a_reply_that_needs_another_word_is_a_refusal_that_sticks(student, name, given, word):
    with student.test(NONE) as watched:
        with pytest.raises(TypeError, match="an object of its own where the reference gives a plain value"):
            student.get(name)(*([given] if given else []))
        assert student.get("same")(1) == 1
    assert watched.refusal is not None
    with student.test(frozenset({word})) as watched:
        student.get(name)(*([given] if given else []))
    assert watched.refusal is None


def test_a_remote_of_an_earlier_test_is_no_remote_any_more(student):
    with student.test(None):
        box = student.get("box")([])
    assert repr(box) == "<Box of the student's>"
    assert not isinstance(box, list)
    with student.test(None) as watched:
        with pytest.raises(TypeError):
            student.get("same")(box)
        with pytest.raises(RuntimeError):
            box()
    assert watched.refusal is not None


def test_a_gradient_is_not_asked_for_in_a_later_test(student):
    x = torch.ones(2, requires_grad=True)
    with student.test(None):
        squared = student.get("call")(torch.square, x)
    with student.test(None), pytest.raises(RuntimeError, match="an earlier test"):
        squared.sum().backward()


def test_an_exception_says_the_line_of_the_students_that_raised_it(make_student):
    student = make_student("import json\ndef f():\n    return json.loads('{')")
    with student.test(NONE), pytest.raises(ValueError, match="Expecting property name") as caught:
        student.get("f")()
    assert caught.value.student_line == "return json.loads('{')"
    assert type(caught.value).__name__ == "JSONDecodeError"


# ------------------------------------------------------------------------------------------------ ends


def test_an_endless_loop_is_stopped_by_the_judges_clock(make_student):
    student = make_student("def f():\n    while True: pass", limits=Limits(call_seconds=0.5))
    with student.test(NONE), pytest.raises(StudentGone) as caught:
        student.get("f")()
    assert caught.value.verdict == "time limit"


def test_the_end_of_the_process_is_told(make_student):
    student = make_student("import os\ndef f(): os._exit(0)")
    with student.test(NONE):
        with pytest.raises(StudentGone) as caught:
            student.get("f")()
        with pytest.raises(StudentGone):
            student.get("f")
    assert caught.value.verdict == "ended early"


def test_an_exit_is_an_error_of_the_students(make_student):
    student = make_student("def f(): exit_()\ndef exit_(): raise SystemExit(3)")
    with student.test(NONE), pytest.raises(Exception, match="3") as caught:
        student.get("f")()
    assert type(caught.value).__name__ == "SystemExit"
    assert isinstance(caught.value, Exception)
