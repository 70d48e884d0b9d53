"""A name is asked for once, until it stands for something else."""

import gc

import pytest

SOURCE = """
import weakref
def f(): return 1
def g(): return 2
def rebind():
    global f
    f = g
class Model:
    limit = 3
values = [1]
def grow(): values.append(2)
partial = __import__("functools").partial(int, "1")
"""


@pytest.fixture
def asked(monkeypatch):
    """asked(student) → the list of requests that are made from now on."""

    def watch(student):
        made, request = [], student.request
        monkeypatch.setattr(
            student, "request", lambda op, *parts, **more: made.append(op) or request(op, *parts, **more)
        )
        return made

    return watch


def test_functions_and_classes_are_asked_for_once(make_student, asked):
    student = make_student(SOURCE)
    made = asked(student)
    assert student.get("f") is student.get("f")
    assert student.get("f")() == 1
    assert student.get("Model") is student.get("Model")
    assert made.count("get") == 2


def test_a_name_that_the_students_code_rebinds_is_asked_for_again(make_student):
    student = make_student(SOURCE)
    assert student.get("f")() == 1
    student.get("rebind")()
    assert student.get("f")() == 2


def test_a_name_that_a_cell_binds_anew_is_asked_for_again(make_student):
    student = make_student(SOURCE)
    assert student.get("f")() == 1
    student.run("def f(): return 5")
    assert student.get("f")() == 5
    student.run("raise ValueError if [globals().update(f=lambda: 6)] else 0")
    assert student.get("f")() == 6


def test_a_name_that_the_test_sets_or_deletes_is_asked_for_again(make_student):
    student = make_student(SOURCE)
    before = student.get("f")
    student.set("f", lambda: 7)
    assert student.get("f")() == 7
    student.set("f", before)
    assert student.get("f")() == 1
    student.delete("f")
    with pytest.raises(NameError):
        student.get("f")


def test_values_are_always_as_they_are_now(make_student):
    student = make_student(SOURCE)
    assert student.get("values") == [1]
    student.get("grow")()
    assert student.get("values") == [1, 2]
    assert student.get("partial")() == 1
    student.run("partial = lambda: 9")
    assert student.get("partial")() == 9


def test_a_name_that_is_known_keeps_nothing_alive_in_the_students_process(make_student):
    student = make_student(SOURCE)
    student.get("f")
    student.run("seen = weakref.ref(f)\ndel f")
    student.get("g")
    gc.collect()
    student.has("f")
    assert student.run("import gc\ngc.collect()\nprint(seen() is None)").outputs[0]["text"] == "True\n"
