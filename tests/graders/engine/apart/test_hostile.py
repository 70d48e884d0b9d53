"""A student's process that says what no honest one says. Attacks by their number in the red team's report."""

from __future__ import annotations

import pickle
import struct
import sys
import unittest
from contextlib import suppress

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from studium_graders.engine.judge_side.permissions import Watch
from studium_graders.engine.judge_side.random_state import RandomState
from studium_graders.engine.judge_side.session import Session
from studium_graders.engine.judge_side.student_gone import StudentGone
from studium_graders.engine.kinds.exceptions import TABLE, StudentError
from studium_graders.engine.kinds.objects import open_classes
from studium_graders.engine.kinds.table import KINDS
from studium_graders.engine.wire.channel import ProtocolError
from studium_graders.engine.wire.codec import Decoder, RefusedError
from torch import nn

from .liar import BROKEN, CALL_BACK, PULL, frame, gave, liar, raised, told

LINEAR = ["object", "torch.nn.modules.linear", "Linear"]


def decoder(words=None, buffers=()):
    session = Session(1, Watch(words), None, None, RandomState(b""), open_classes(), 0)
    session.graph.open({})
    return Decoder(KINDS, session, [memoryview(data) for data in buffers])


NODES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.text(max_size=8)
    | st.binary(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.tuples(st.sampled_from([*KINDS.by_tag, "same", "argument"]), st.lists(inner, max_size=5)).map(
            lambda pair: [pair[0], *pair[1]]
        )
    ),
    max_leaves=25,
)


@settings(max_examples=100, deadline=None)
@given(NODES, st.lists(st.binary(max_size=40), max_size=3))
def test_any_node_is_a_value_or_no_value(node, buffers):
    for words in (None, frozenset()):
        with torch.random.fork_rng(devices=[]), suppress(ProtocolError, RefusedError):
            decoder(words, buffers).value(node)


def test_a_value_of_too_many_parts_is_no_value(monkeypatch):
    monkeypatch.setattr("studium_graders.engine.wire.codec.MOST_VALUES", 20)
    assert decoder().value(["list", *[["list"]] * 19]) == [[]] * 19
    with pytest.raises(ProtocolError, match="too many parts"):
        decoder().value(["list", *[["list"]] * 20])


@pytest.mark.parametrize("index", [-1, 2, 0, True, "1"])
def test_what_is_the_same_as_another_part_names_one_that_was_read(index):
    assert decoder().value(["tuple", ["list"], ["same", 1]]) == ([], [])
    with pytest.raises(ProtocolError):
        decoder().value(["tuple", ["list"], ["same", index]])


TENSOR = ["tensor", "data", "float32", [1], 0, False]
SOUND = [
    ["list", 1, ["list"], ["same", 0]],
    ["dict", "a", ["tuple", 1, 2]],
    ["array", "<f4", [2], 1],
    TENSOR,
    ["tensor", "leaf", "float32", [1], 0, True, 7, None],
    ["tensor", "output", "float32", [1], 0, False, 8],
    ["fraction", 1, 2],
    ["datetime", "2024-01-01T00:00:00", 0],
    ["error", "builtins", "ValueError", "ValueError", ["x"], "x"],
    ["remote", 3, "Vector"],
    [*LINEAR, "training", True, "_parameters", ["dict"], "_buffers", ["dict"], "_modules", ["dict"]],
]


@st.composite
def damaged(draw):
    """A sound node in which one place holds something else."""
    node = pickle.loads(pickle.dumps(draw(st.sampled_from(SOUND))))
    places = []

    def walk(part):
        for index, item in enumerate(part):
            places.append((part, index))
            if isinstance(item, list):
                walk(item)

    walk(node)
    part, index = draw(st.sampled_from(places))
    part[index] = draw(NODES)
    return node


@settings(max_examples=100, deadline=None)
@given(damaged())
def test_a_sound_node_with_one_place_damaged_is_a_value_or_no_value(node):
    with suppress(ProtocolError, RefusedError):
        decoder(None, [b"\0" * 4, b"\0" * 8]).value(node)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_give_a_value_or_end_the_conversation(data):
    for said in (data, frame(data)):
        with liar(said) as student, student.test(None), suppress(StudentGone, RefusedError):
            student.get("f")


def test_every_attribute_of_every_layer_may_be_anything():
    """The ``__dict__`` of each class of torch.nn, with an attribute exchanged: read, or no value."""
    made = 0
    for name, cls in sorted(vars(nn.modules).items()):
        if (
            not isinstance(cls, type)
            or not issubclass(cls, nn.Module)
            or cls.__module__ == "torch.nn.modules.container"
        ):
            continue
        head = ["object", cls.__module__, cls.__name__]
        for key in (
            "forward",
            "_forward_hooks",
            "_parameters",
            "_modules",
            "training",
            "__call__",
            "_compiled_call_impl",
        ):
            for node in (["remote", 1, "f"], ["function", "relu"], ["dict", "a", ["remote", 1, "f"]], 1, "x", None):
                try:
                    built = decoder(None).value([*head, key, node])
                except (ProtocolError, RefusedError):
                    continue
                made += 1
                assert not callable(vars(built).get("forward"))
                assert not callable(vars(built).get(key))
                assert not vars(built).get("_forward_hooks"), name
    assert made


NO_VALUE = [
    ["no such kind", 1],
    [],
    [1],
    [["list"]],
    ["same", 0],
    ["same", -1],
    ["tuple", ["same", 0]],
    ["integer", "9" * 100_000],
    ["integer", "__import__('os')"],
    ["decimal", "1E+999999999"],
    ["range", 0, 2**62, 1],
    ["range", 0, 1, 0],
    ["fraction", 1, 0],
    ["timedelta", 2**62, 0, 0],
    ["set", ["list"]],
    ["dict", ["remote", 1, "Key"], 1],
    ["dict", 1],
    ["defaultdict", "system"],
    ["deque", -1],
    ["array", "O", [1], 0],
    ["array", "V8", [1], 0],
    ["array", "<f4", [1 << 30, 1 << 30], 0],
    ["array", "S0", [1 << 20], 0],
    ["array", "<f4", [-1], 0],
    ["array", "<f4", [0, 1 << 39, 1 << 39], 1],
    ["tensor", "data", "float32", [3], 0, False],
    ["tensor", "data", "quint8", [4], 0, False],
    ["tensor", "output", "bool", [8], 0, False, 1],
    ["tensor", "held", "float32", [2], 0, False, True, None],
    ["generator", 0],
    ["numpy generator", ["integer", hex(2**200)], 1, 0, 0],
    ["numpy generator", -1, 1, 0, 0],
    ["random", 3, 0, None],
    ["size", -1],
    ["torch tuple", "max", 1],
    ["torch tuple", "__class__", 1],
    ["dtype", "__class__"],
    ["error", "builtins", "ValueError", "x", [1] * 50, "x"],
    ["error", "builtins", "ValueError", "x", [], "x" * 10_000],
    ["remote", 1, "x" * 1000],
    ["remote", "1", "x"],
    ["lent", 5],
    ["argument", 3, None],
    ["object", "os", "PathLike"],
    ["object", "torch.nn", "Linear"],
    ["object", "torch.nn.modules.linear", "no such class"],
    ["object", "builtins", "object"],
    [*LINEAR, "a", ["function", "no such function"]],
]


def verdicts(said):
    """What each of two questions to a student who says this ends with; those that have an answer are left out."""
    found = []
    with liar(said) as student, student.test(None):
        for name in ("f", "g"):
            try:
                student.get(name)
            except StudentGone as gone:
                found.append(gone.verdict)
    return found


def test_what_is_no_value_ends_the_conversation():
    found = {str(node)[:80]: verdicts(gave(node, [b"\0" * 8, b""])) for node in NO_VALUE}
    assert {node: said for node, said in found.items() if len(said) != 2 or said[0] != "broken protocol"} == {}


REFUSED = [
    [*LINEAR, "forward", ["function", "relu"]],
    [*LINEAR, "__class__", 1],
    [*LINEAR, "_forward_hooks", ["ordered", 1, ["remote", 1, "f"]]],
    [*LINEAR, "_parameters", ["dict", "weight", 1]],
    [*LINEAR, "_compiled_call_impl", ["function", "relu"]],
    [*LINEAR, "_modules", ["dict", "q", ["remote", 1, "Own"]]],
    [*LINEAR, "training", ["remote", 1, "Own"]],
]


def test_an_object_that_would_run_what_the_student_put_into_it_is_refused():
    for node in REFUSED:
        with liar(gave(node)) as student:
            with student.test(None) as watched, pytest.raises(RefusedError, match="an object of Linear"):
                student.get("f")
            assert watched.refusal is not None, node


def nested(depth):
    node = ["list"]
    for _ in range(depth):
        node = ["list", node]
    return node


def test_depth_is_capped_also_within_copies_of_arguments():
    for node in (nested(110), nested(5000)):
        with pytest.raises(ProtocolError):
            decoder().value(node)
    copied = ["list"]
    for _ in range(3000):
        copied = ["argument", 0, ["list", copied]]
    taking = decoder(frozenset())
    taking.taking.arguments.open([[1]])
    with pytest.raises(ProtocolError):
        taking.value(copied)


def test_a_message_deeper_than_python_can_go_ends_the_conversation():
    deep = b"\x91" * 100_000 + b"\xc0"
    said = frame(b"\x93\x01" + deep + b"\x94\x00\x90\x90\x93\xc2\xc2\xc2")
    with liar(said) as student, student.test(None), pytest.raises(StudentGone):
        student.get("f")


def test_a_generator_that_would_read_beyond_its_words_is_no_generator():
    for words in ((624, 1, 600), (0, 1, 0), (5, 0, 620), (-3, 1, 4)):
        state = bytearray(torch.Generator().manual_seed(1).get_state().numpy().tobytes())
        struct.pack_into("<iiQ", state, 8, *words)
        with pytest.raises(ProtocolError):
            decoder(None, [bytes(state)]).value(["generator", 0])


# ------------------------------------------------------------------------------------------------ exceptions


def test_g01_no_alias_of_a_skip_is_one_in_the_judge():
    """``unittest.SkipTest.__module__ = "numpy.testing"`` gave all marks of a suite."""
    assert np.testing.SkipTest is unittest.SkipTest
    for module in ("unittest.case", "unittest", "numpy.testing", "pytest", "builtins"):
        with liar(raised(module, "SkipTest", "SkipTest", text="skipped")) as student, student.test(None):
            with pytest.raises(Exception, match="skipped") as caught:
                student.get("f")
            assert not isinstance(caught.value, unittest.SkipTest), module


def test_g03_a_suite_whose_answer_raises_a_skip_fails():
    class Suite(unittest.TestCase):
        def test_it(self):
            student.get("f")

    with liar(raised("numpy.testing", "SkipTest", "SkipTest")) as student, student.test(None):
        result = unittest.TestResult()
        Suite("test_it").run(result)
    assert (len(result.errors), result.skipped) == (1, [])


def test_an_exception_is_of_the_table_or_the_students_own():
    own = "SystemExit", "KeyboardInterrupt", "int", "eval"
    for module, name in (*(("builtins", one) for one in own), ("os", "error")):
        with liar(raised(module, name, name, ["x"], "x")) as student, student.test(None):
            with pytest.raises(Exception, match="x") as caught:
                student.get("f")
            assert type(caught.value).__name__ == name


def test_an_end_of_an_iteration_is_one_only_where_an_item_is_asked_for():
    with liar(gave(["remote", 1, "f"]), raised("builtins", "StopIteration")) as student, student.test(None):
        function = student.get("f")
        with pytest.raises(RuntimeError):
            function()


@settings(max_examples=60, deadline=None)
@given(st.lists(NODES, max_size=3), st.sampled_from(sorted(TABLE)), st.text(max_size=5), st.text(max_size=5))
def test_any_parts_of_an_exception_are_one_that_may_be_raised_or_end_the_conversation(args, names, own, text):
    with liar(raised(*names, own, args, text)) as student, student.test(None), pytest.raises(Exception) as caught:  # noqa: PT011
        student.get("f")
    error = caught.value
    assert isinstance(error, TABLE[names] | StudentError | StudentGone | RefusedError)
    assert not isinstance(error, unittest.SkipTest)


def test_an_echo_of_no_failure_ends_the_conversation():
    with liar(raised("builtins", "ValueError", echo=0)) as student, student.test(None), pytest.raises(StudentGone):
        student.get("f")


# ------------------------------------------------------------------------------------------------ questions, changes


FIT_NOTHING = [
    [CALL_BACK, 0, ["tuple", ["tuple"], ["dict"]], [], 0, True, told()],
    [CALL_BACK, -1, None, [], 0, True, told()],
    [PULL, 1, TENSOR, False],
    [PULL, -1, 1, False],
    [9, 1],
    [0, [], "", [False, False, False]],
    {"a": 1},
    [1, 1],
    [1, 1, told(), 2],
    [1, 1, told(walked=3)],
    [1, 1, told(changes=[(0, 1)])],
    [1, 1, [0, [], [["stdin", "x"]], [False, False, False]]],
    [1, 1, [0, [], [], [False]]],
]


def test_a_question_or_an_answer_that_fits_nothing_ends_the_conversation():
    assert [question for question in FIT_NOTHING if len(verdicts(frame(question, [b"\0" * 4]))) != 2] == []


def test_more_output_than_a_call_can_have_ends_the_conversation(capsys):
    text = "x" * (1 << 20)
    with liar(gave(1, printed=[["stdout", text]])) as student, student.test(None), pytest.raises(StudentGone):
        student.get("f")
    assert capsys.readouterr().out == ""


def test_a_change_of_the_wrong_kind_ends_the_conversation():
    for node in (["dict"], 1, TENSOR, ["lent", 1]):
        said = (gave(["remote", 1, "f"]), gave(None, [b"\0" * 4], walked=1, changes=[[0, node]]))
        with liar(*said) as student, student.test(None):
            function, given = student.get("f"), [1]
            with pytest.raises((StudentGone, RefusedError)):
                function(given)
            assert given == [1]


def test_what_our_part_of_the_process_could_not_do_is_for_review():
    with liar(frame([BROKEN, "no module named given"])) as student, student.test(frozenset()) as watched:
        with pytest.raises(RefusedError):
            student.get("f")
        assert "no module named given" in str(watched.refusal)


def test_the_decoder_imports_nothing():
    before = set(sys.modules)
    for module in ("antigravity", "this", "torch.nn.modules.no_such"):
        with pytest.raises(RefusedError):
            decoder().value(["object", module, "X"])
    assert set(sys.modules) == before
