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


def test_functions_and_classes_that_the_tests_want_come_with_the_cell_that_makes_them(make_student, asked):
    student = make_student(SOURCE, recording=False, known=True, handles={"f", "Model", "later", "Model()"})
    made = asked(student)
    assert student.get("f")() == 1
    assert student.get("Model").limit == 3
    student.run("def later(x: int = 3): return x\ndef f(): return later(8)")
    assert [student.get("later")(), student.get("f")()] == [3, 8]
    assert "get" not in made


def test_what_a_cell_leaves_as_it_was_does_not_come_again(make_student, asked):
    student = make_student(SOURCE, recording=False, known=True, handles={"f"})
    first = student.get("f")
    student.run("x = 1")
    made = asked(student)
    assert student.get("f") is first
    student.get("rebind")
    assert made == ["get"]


def test_a_name_that_is_rebound_after_it_came_unasked_is_asked_for_again(make_student):
    student = make_student(SOURCE, recording=False, known=True, handles={"f", "rebind"})
    student.get("rebind")()
    assert student.get("f")() == 2
    student.set("f", 5)
    assert student.get("f") == 5


def test_where_one_cannot_come_unasked_all_are_asked_for(make_student, asked):
    student = make_student(recording=False, known=True, handles={"f", "g"})
    unspeakable = "class Meta(type):\n    @property\n    def __name__(cls): raise OSError('no name')\n"
    run = student.run(
        f"{unspeakable}class C(metaclass=Meta): pass\ndef f(): return 1\ndef g(x=C()): return 2\nprint(3)"
    )
    assert (run.error, run.outputs[0]["text"]) == ("", "3\n")
    made = asked(student)
    assert student.get("f")() == 1
    with pytest.raises(OSError, match="no name"):
        student.get("g")
    student.run("def g(x=(1, 2)): return x")
    assert student.get("g")() == (1, 2)
    assert made.count("get") == 2


def test_nothing_comes_unasked_while_it_is_found_out_what_the_tests_want(make_student, asked):
    student = make_student("def f(): return 1")
    made = asked(student)
    assert student.get("f")() == 1
    assert made[0] == "get"
    assert "f" in student.permissions.handles
