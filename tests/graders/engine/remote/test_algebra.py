"""Numbers of SymPy's and mpmath's cross as the numbers that they are, where the reference gives Python's."""

from __future__ import annotations

import pytest
from studium_graders.engine.remote import StudentGone
from studium_graders.engine.remote.tags import Tag

from .liar import Liar, reply

sympy = pytest.importorskip("sympy")
mpmath = pytest.importorskip("mpmath")

MADE = "import sympy, mpmath\ndef made(text): return eval(text)\ndef same(value): return value\n"
EXACT = [
    *("sympy.Integer(3)", "sympy.Rational(-2, 7)", "sympy.Float(0)", "sympy.Float(-1.5)", "sympy.N(sympy.pi, 40)"),
    *("mpmath.mpf(1) / 3", "mpmath.mpf(0)"),
]
KEPT = ["sympy.Symbol('x')", "sympy.oo", "sympy.nan", "sympy.I", "mpmath.inf", "sympy.Integer(2) ** 9999"]


@pytest.fixture
def student(make_student):
    return make_student(MADE, known=True, recording=False, handles={"made", "same"})


@pytest.mark.parametrize("text", EXACT)
def test_a_number_stays_what_it_is(student, text) -> None:
    expected = eval(text)
    found = student.get("made")(text)
    assert type(found) is type(expected)
    assert found == expected
    assert getattr(found, "_prec", 0) == getattr(expected, "_prec", 0)
    assert student.get("same")(found) == expected


@pytest.mark.parametrize("bits", [1, 2])
def test_a_number_of_few_bits_is_computed_with_as_one_of_pythons(student, bits) -> None:
    found = student.get("made")(f"sympy.Float._new((0, 1, 2, 1), {bits})")
    assert abs(found / 5 - 1) > 0.1


def test_a_number_of_no_bits_does_not_keep_a_test_waiting() -> None:
    assert float(Liar(reply([Tag.ALGEBRA, "float", 0, 1, 4, 1, 0])).ask()) == 16


@pytest.mark.parametrize("text", ["sympy.sqrt(2)", "sympy.pi / 2", "sympy.exp(sympy.Rational(1, 2)) + 1"])
def test_what_is_made_of_numbers_alone_is_the_float_that_it_is(student, text) -> None:
    found = student.get("made")(text)
    assert type(found) is sympy.Float
    assert abs(found - float(eval(text))) < 1e-12


@pytest.mark.parametrize("text", KEPT)
def test_all_else_stays_an_object(student, text) -> None:
    with pytest.raises(TypeError, match="where a plain value is needed"):
        float(student.get("made")(text))


def test_a_number_stays_an_object_where_the_reference_gives_one(make_student) -> None:
    student = make_student(MADE, known=True, recording=False, handles={"made", "made()"})
    assert not isinstance(student.get("made")("sympy.Integer(3)"), sympy.Integer)


HOSTILE = [
    *(["ratio", 1, 0], ["ratio", 1, -2], ["ratio", 1], ["ratio", "1", 2], ["ratio", 1.0, 2], ["ratio", True, 2]),
    *(["float", 0, 5, 1 << 40, 3, 53], ["float", 0, 5, 0, 3, 1 << 40], ["float", 0, 5, 0, 9, 53]),
    *(["float", 2, 5, 0, 3, 5], ["float", 0, -5, 0, 3, 53], ["ratio", [Tag.BIG_INT, "f" * 9999], 2]),
    *(["mpf", 0, 0, -456, -2, 0], ["mpf", 0, 5, 0], ["other", 0, 5, 0, 3, 0], [["ratio"], 1, 2], []),
]


@pytest.mark.parametrize("node", HOSTILE, ids=str)
def test_what_is_no_number_disturbs_the_connection(node) -> None:
    with pytest.raises(StudentGone):
        Liar(reply([Tag.ALGEBRA, *node])).ask()
