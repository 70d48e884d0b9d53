from __future__ import annotations

import sys

import pytest
from studium_graders.engine.judge.namespace import MainModule, Namespace


@pytest.fixture
def namespace(student):
    student.names |= {"f": lambda: 1, "helper": "the student's", "len": "a trap"}
    return Namespace(student, frozenset({"f", "len"}))


def run(source, namespace):
    exec(compile(source, "<test>", "exec"), namespace)


def test_owned_names_are_read_bound_and_deleted_at_the_students(student, namespace):
    run("kept = f\ndel f", namespace)
    assert not student.has("f")
    run("f = 3", namespace)
    assert student.names["f"] == 3
    assert "kept" not in student.names


def test_other_names_stay_here(student, namespace):
    run("helper = 'mine'\ndef g():\n    return helper\nresult = g()", namespace)
    assert namespace["result"] == "mine"
    assert student.names["helper"] == "the student's"


def test_a_builtin_comes_before_the_students_unless_it_was_asked_for(student):
    student.names |= {"len": lambda x: 99, "sum": lambda x: 99}
    namespace = Namespace(student, frozenset({"len"}))
    run("a, b = len([1]), sum([1])", namespace)
    assert (namespace["a"], namespace["b"]) == (99, 1)


def test_a_name_that_nobody_has_is_a_name_error(namespace):
    with pytest.raises(NameError, match="nothing"):
        run("nothing", namespace)
    with pytest.raises(NameError, match="nothing"):
        run("del nothing", namespace)
    with pytest.raises(NameError, match="nothing"):
        run("def g():\n    return nothing\ng()", namespace)


def test_globals_know_the_names_of_both(namespace):
    run("x = 1\nseen = ['f' in globals(), 'helper' in globals(), 'no' in globals(), globals().get('no', 5)]", namespace)
    assert namespace["seen"] == [True, True, False, 5]
    run("names = dir()", namespace)
    assert {"f", "x"} <= set(namespace["names"])


def test_nothing_of_the_engines_is_among_the_names(student, namespace):
    run("names = dict(globals())", namespace)
    engine = [value for value in namespace["names"].values() if type(value).__module__.startswith("studium_graders")]
    assert engine == []
    for name in ("__namespace__", "__replacements__"):
        with pytest.raises(NameError):
            run(name, namespace)


def test_main_is_the_notebook(student, namespace, monkeypatch):
    monkeypatch.setitem(sys.modules, "__main__", MainModule(namespace))
    run(
        "from unittest import mock\nfrom __main__ import f as g\n"
        "with mock.patch('__main__.f', return_value=7):\n    inside = f()\nafter = f()",
        namespace,
    )
    assert (namespace["inside"], namespace["after"]) == (7, 1)
    with pytest.raises(AttributeError):
        _ = sys.modules["__main__"].nothing


def test_a_copy_has_names_of_its_own(student, namespace):
    other = namespace.copy()
    run("x = 1", other)
    assert "x" not in namespace
    assert other["f"]() == 1
