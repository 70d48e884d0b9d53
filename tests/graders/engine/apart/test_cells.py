"""Cells are what IPython makes of them: magics, prompts, waiting; and most are Python already."""

import builtins
import os
import pty

import pytest
from studium_graders.course.limits import Limits
from studium_graders.engine.judge_side.student_gone import StudentGone
from studium_graders.engine.student_side.cells import INLINE


def text_of(run):
    return "".join(output.get("text", "") or output.get("data", {}).get("text/plain", "") for output in run.outputs)


IN_A_NOTEBOOK = [
    ("%%capture said\nprint('a')", ""),
    ("x = 2\n%time y = x + 1\nprint(y)", "3\n"),
    ("def f():\n    %who_ls int\nprint(1)", "1\n"),
    ("x = %who_ls str\nprint(type(x).__name__)", "list\n"),
    ("In [1]: x = 4\nIn [2]: print(x)", "4\n"),
    (">>> x = 5\n>>> print(x)", "5\n"),
    ("    x = 6\n    print(x)", "6\n"),
    ("\n\nx = 7\nprint(x)", "7\n"),
    ("import asyncio\nawait asyncio.sleep(0)\nprint(8)", "8\n"),
    ("async def f(): return 9\nprint(await f())", "9\n"),
    ("print('''\n%time\n!ls\n''')", "\n%time\n!ls\n\n"),
    ("x = 10\nx", "10"),
    ("x = 10 %(\n3)\nprint(x)", "1\n"),
    ("word = 'hello'\n!echo {word} $word\nprint(_exit_code)", "hello hello\n0\n"),
    ("!echo wrong >&2; exit 3\nprint(_exit_code)", "wrong\n3\n"),
    ("files = !echo a\nprint(files)", "['a']\n"),
    ("!cat\nprint(9)", "9\n"),
    ("%autosave 60\n%clear\nprint(11)", "11\n"),
    ("print(repr(_))", "''\n"),
    ("12;", ""),
    ("!echo \\(\n16", "(\n16"),
    ("%matplotlib inline\nimport matplotlib\nprint(13)", "13\n"),
    ("%matplotlib notebook\nprint(14)", "14\n"),
    ("%pylab inline\nprint(15)", "15\n"),
    ("!printf 'a\\377b\\n'", "a\ufffdb\n"),
]


def test_a_cell_does_what_it_does_in_a_notebook(make_student):
    for source, shown in IN_A_NOTEBOOK:
        run = make_student().run(source)
        assert (run.error, text_of(run).replace("\r", "")[-len(shown) or 99 :]) == ("", shown), source


# As in a process that has not imported matplotlib yet, which other tests may have done here.
NEVER_DRAWN = (
    "import sys\nfor name in [n for n in sys.modules if n.startswith('matplotlib')]:\n    del sys.modules[name]\n"
)


def test_the_last_values_have_their_names(make_student, monkeypatch):
    monkeypatch.delattr(builtins, "_", raising=False)  # a doctest in this process leaves it, and IPython minds
    student = make_student("6 * 7")
    student.run("'last'")
    assert text_of(student.run("print(_, __)")) == "last 42\n"


@pytest.mark.sample(1)
@pytest.mark.parametrize("magic", ["", "%matplotlib inline\n", "%matplotlib agg\n"])
def test_the_pictures_of_a_cell_are_shown_and_closed_after_it(make_student, monkeypatch, magic):
    monkeypatch.setenv("MPLBACKEND", INLINE)
    student = make_student(NEVER_DRAWN)
    run = student.run(f"{magic}import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.title('both')\nplt.show()")
    assert run.error == ""
    shown = [output["data"] for output in run.outputs if "data" in output]  # matplotlib may say that it reads fonts
    assert [sorted(data) for data in shown if "image/png" in data] == [["image/png", "text/plain"]]
    assert text_of(student.run("print(plt.get_fignums())")) == "[]\n"


def test_lone_surrogates_in_what_a_cell_says_become_question_marks(make_student):
    source = "print('\\udcff')\nraise ValueError('no \\udcff')"
    run = make_student().run(source)
    assert run.error == "ValueError: no ?"
    assert text_of(run) == "?\n"
    assert [(output["ename"], output["evalue"]) for output in run.outputs[1:]] == [("ValueError", "no ?")]
    assert "\udcff" not in "".join(run.outputs[1]["traceback"])


@pytest.mark.parametrize("source", ["def f(:\n    pass", "x = (\n", "return 3\n# no", "x = 1\n\0"])
def test_what_is_no_python_says_so(make_student, source):
    assert make_student().run(source).error.partition(":")[0] in ("SyntaxError", "ValueError")


def test_a_cell_that_ends_too_early_is_told_what_is_missing_also_in_its_output(make_student):
    run = make_student().run("def f(x):\n    return (x\n")
    assert run.error.startswith("SyntaxError: '(' was never closed")
    (shown,) = run.outputs
    assert "'(' was never closed" in shown["evalue"]
    assert "incomplete input" not in "".join(shown["traceback"])


def test_a_transformer_of_the_students_own_is_heeded(make_student):
    student = make_student()
    student.run(
        "from IPython.core.inputtransformer2 import TokenTransformBase\n"
        "manager = get_ipython().input_transformer_manager\n"
        "class Nines(TokenTransformBase):\n"
        "    @classmethod\n"
        "    def find(cls, lines):\n"
        "        return next((cls(token.start) for line in lines for token in line if token.string == '9'), None)\n"
        "    transform = lambda self, lines: [line.replace('9', '2') for line in lines]\n"
        "manager.token_transformers.append(Nines)"
    )
    run = student.run("x = 9\nprint(x)")
    assert (run.error, text_of(run)) == ("", "2\n")


@pytest.fixture
def no_terminal(monkeypatch):
    def none():
        raise OSError("out of pty devices")

    monkeypatch.setattr(os, "forkpty", none)
    monkeypatch.setattr(pty, "openpty", none)


def test_a_command_of_the_systems_needs_no_terminal(make_student, no_terminal):
    run = make_student().run("!echo hello")
    assert (run.error, text_of(run)) == ("", "hello\n")


def test_what_a_command_prints_is_bounded_as_what_is_printed(make_student):
    limits = Limits(call_seconds=20, output_kb=1)
    run = make_student(limits=limits).run("!head -c 50000 /dev/zero | tr '\\0' x")
    assert len(text_of(run)) < 1100
    assert "more output was dropped" in text_of(run)
    with pytest.raises(StudentGone) as gone:
        make_student(limits=limits).run("!tr '\\0' x < /dev/zero")
    assert gone.value.verdict == "ended early"


ASSERTIONS = [
    ("x = 1\nassert x == 2", "this should hold and does not: x == 2"),
    ("assert (\n    1 ==\n    2\n)", "this should hold and does not: 1 == 2"),
    ("def check(x):\n    assert x\ncheck(0)", "this should hold and does not: x"),
    ("%time 1\nassert not 1", "this should hold and does not: not 1"),
    ("assert given(0)", "this should hold and does not: given(0)"),
    ("assert 0, 'a text'", "a text"),
    ("x = 1\nassert x == 2, x", "this should hold and does not: x == 2 (1)"),
    ("x = 1\nassert x == 2, f'not {x}'", "not 1"),
    ("given(0)", ""),
    ("raise AssertionError", ""),
]


def test_an_assertion_of_the_cell_that_fails_without_a_text_is_named(make_student):
    student = make_student("def given(x):\n    assert x == 12345")
    for source, said in ASSERTIONS:
        assert student.run(source).error == f"AssertionError: {said}", source


def test_an_error_that_the_students_code_has_made_unreadable_is_still_one(make_student):
    source = "import ast\ndef fail(*_): raise OSError\nast.parse = ast.walk = fail\nassert 0"
    assert make_student().run(source).error.startswith("AssertionError")


def test_the_traceback_of_input_ends_at_the_line_that_asked(make_student):
    run = make_student().run("def ask():\n    return input('How old are you? ')\nask()")
    (shown,) = [output for output in run.outputs if output["output_type"] == "error"]
    text = "\n".join(shown["traceback"])
    assert "return input('How old are you? ')" in text
    assert "nobody is there while this is graded" in text
    assert "cells.py" not in text
    assert "no_input" not in text
