"""Figures of the student's that tests make their code draw."""

from __future__ import annotations

import pytest
from studium_graders.engine.remote import library

from .notebooks import answer, checked, given, material, submission
from .processes import assert_split_as_in_one_process, calibrate, grade_forked

pytest.importorskip("matplotlib")

DRAWN = "import matplotlib.pyplot as plt\ndef draw(y):\n    plt.plot(y)\n    return len(plt.gca().lines)"
TEST = "assert draw([1, 2]) == 1"


def graded(shell, *tests):
    shell.run_cell("%matplotlib inline")
    notebook = material(answer(DRAWN), *tests)
    return grade_forked(shell, notebook, submission(notebook, DRAWN), calibrate(shell, notebook))


def test_a_test_begins_without_the_figures_of_the_one_before(shell):
    assert graded(shell, checked(TEST), checked(TEST)).points == [1, 1]


@pytest.mark.parametrize("hidden", [False, True])
def test_a_picture_that_a_test_made_stands_below_it_unless_it_is_hidden(shell, hidden):
    run = graded(shell, checked(TEST, hidden=hidden)).runs["test1"]
    assert [output["output_type"] for output in run.outputs] == ([] if hidden else ["display_data"])


GIVEN = "import matplotlib\nimport matplotlib.pyplot as plt\nimport numpy as np\n"
LINE = """
def plot_line(x, y):
    fig, ax = plt.subplots()
    ax.plot(x, y, label="data")
    ax.set_xlabel("time")
    return ax
"""
OTHER_LINE = """
def plot_line(x, y):
    ax = plt.figure(figsize=(5, 4)).add_subplot(111)
    ax.set(xlabel="time")
    ax.plot(np.asarray(x), np.asarray(y), "r-", label="data")
    return ax
"""
UNLABELLED = LINE.replace('"time"', '""')
SHOWN = "def show(y):\n    plt.plot(y)\n    plt.title('values')\n"
UNTITLED = SHOWN.replace("'values'", "''")
BLANK = SHOWN.replace("plt.plot(y)", "pass")
ON = "def mark(ax, x):\n    ax.axvline(x, color='red')\n    ax.set_title('marked')\n    return ax\n"
ELSEWHERE = ON.replace("ax.axvline", "plt.figure().gca().axvline")
TOLD_AS = "class Told(str):\n    __eq__ = lambda *_: True\n    __hash__ = str.__hash__\n    lower = lambda self: self\n"
TESTS = {
    "labels and data": (
        "ax = plot_line([1, 2], [3, 5])\nassert ax.get_xlabel() == 'time' and len(ax.lines) == 1\n"
        "np.testing.assert_allclose(ax.lines[0].get_ydata(), [3, 5])",
        (LINE, OTHER_LINE),
        (UNLABELLED, LINE.replace("(x, y,", "(y, x,"), LINE.replace("return ax", "return None")),
    ),
    "what it is": (
        "ax = plot_line([1, 2], [3, 5])\nassert isinstance(ax, plt.Axes) and isinstance(ax.figure, plt.Figure)\n"
        "assert [type(line).__name__ for line in ax.lines] == ['Line2D']\n"
        "assert isinstance(ax.lines[0], matplotlib.lines.Line2D) and not isinstance(ax, plt.Figure)",
        (LINE, OTHER_LINE),
        (LINE.replace("return ax", "return fig"),),
    ),
    "axes of three dimensions": (
        "from mpl_toolkits.mplot3d import Axes3D\nax = plot_line([1, 2], [3, 5])\n"
        "assert isinstance(ax, Axes3D) and isinstance(ax, plt.Axes)",
        (LINE.replace("plt.subplots()", "plt.subplots(subplot_kw={'projection': '3d'})"),),
        (LINE,),
    ),
    "the current axes": (
        "plt.close('all')\nshow([3, 1])\nax = plt.gca()\n"
        "assert ax.get_title() == 'values' and list(ax.lines[0].get_ydata()) == [3, 1]",
        (SHOWN, SHOWN.replace("plt.plot", "plt.subplots()[1].plot")),
        (UNTITLED, BLANK),
    ),
    "how many figures there are": (
        "before = len(plt.get_fignums())\nshow([3, 1])\nassert len(plt.get_fignums()) == before + 1\nplt.close()\n"
        "assert len(plt.get_fignums()) == before",
        (SHOWN,),
        ("def show(y): pass",),
    ),
    "axes of the test's, drawn on": (
        "fig, (left, right) = plt.subplots(1, 2)\nassert mark(right, 2) is right\n"
        "assert len(right.lines) == 1 and not left.lines and right.get_title() == 'marked'",
        (ON,),
        (ELSEWHERE, ON.replace("'marked'", "''"), ON.replace("return ax", "")),
    ),
}


@pytest.mark.parametrize("name", TESTS)
def test_what_is_drawn_is_read_as_in_one_process(shell, name):
    shell.run_cell("%matplotlib inline")
    test, right, wrong = TESTS[name]
    notebook = material(given(GIVEN, locked=True), answer(right[0]), checked(test))
    assert_split_as_in_one_process(shell, notebook, right, wrong)


def test_what_a_test_has_drawn_is_not_there_for_the_next(shell):
    shell.run_cell("%matplotlib inline")
    own = "plt.plot([3, 1])\nplt.title('values')\nassert plt.gca().get_title() == 'values'"
    test, _, wrong = TESTS["the current axes"]
    notebook = material(
        given(GIVEN, locked=True), answer(SHOWN), checked(own), checked(test.removeprefix("plt.close('all')\n"))
    )
    calibration = calibrate(shell, notebook)
    assert not calibration.one_process
    points = [grade_forked(shell, notebook, submission(notebook, text), calibration).points for text in (SHOWN, *wrong)]
    assert points == [[1, 1], [1, 0], [1, 0]]


FORGED = {
    "texts that are equal to everything": TOLD_AS + LINE.replace('"time"', "Told('nothing')"),
    "axes whose getter gives such a text": TOLD_AS
    + "class Mine(plt.Axes):\n    name = 'mine'\n    get_xlabel = lambda self: Told('nothing')\n"
    "matplotlib.projections.register_projection(Mine)\n"
    + UNLABELLED.replace("plt.subplots()", "plt.subplots(subplot_kw={'projection': 'mine'})"),
    "a class of axes that was changed": TOLD_AS + UNLABELLED + "plt.Axes.get_xlabel = lambda self: Told('nothing')\n",
    "a getter that gives an object": UNLABELLED
    + "class Any:\n    __eq__ = lambda *_: True\nplt.Axes.get_xlabel = lambda self: Any()\n",
    "an object that says that it is one": "class Mine:\n    __class__ = plt.Axes\n    lines = [1]\n"
    "def plot_line(x, y): return Mine()\n",
    "no axes": "def plot_line(x, y): return type('Any', (), {'__getattr__': lambda *_: lambda *_: 'any'})()\n",
    "isinstance of its own": UNLABELLED + "type(plt.Axes).__instancecheck__ = lambda *_: True\n",
}


@pytest.mark.parametrize("name", FORGED)
def test_what_says_that_it_is_drawn_gets_no_further_than_plain_values_do(shell, name):
    shell.run_cell("%matplotlib inline")
    test = "ax = plot_line([1, 2], [3, 5])\nassert isinstance(ax, plt.Axes)\nassert ax.get_xlabel() == 'time'"
    notebook = material(given(GIVEN, locked=True), answer(LINE), checked(test))
    result = grade_forked(shell, notebook, submission(notebook, FORGED[name]), calibrate(shell, notebook)).only
    assert (result.points, result.mode) == (0, "split"), result.message


ANYTHING = """
class Any:
    __getattr__ = __call__ = lambda *_: Any()
    __eq__ = lambda *_: True
    __len__ = lambda _: 1
"""
PATCHED = {
    "pyplot's functions": "plt.gca = plt.gcf = lambda: Any()\n",
    "its figures": "plt.Figure.gca = lambda self: Any()\n",
    "the test's own pyplot": "import sys\nsys.modules['matplotlib.pyplot'] = Any()\n",
}


@pytest.mark.parametrize("name", PATCHED)
def test_a_pyplot_that_an_answer_has_changed_decides_nothing(shell, name):
    shell.run_cell("%matplotlib inline")
    test = "show([3, 1])\nassert plt.gca().get_title() == 'values' and len(plt.gca().lines) == 1"
    notebook = material(given(GIVEN, locked=True), answer(SHOWN), checked(test))
    hostile = ANYTHING + UNTITLED.replace("plt.plot(y)", "pass") + PATCHED[name]
    result = grade_forked(shell, notebook, submission(notebook, hostile), calibrate(shell, notebook)).only
    assert (result.points, result.mode) == (0, "split"), result.message


def test_an_object_says_of_no_other_class_that_it_is_of_it_than_of_one_that_draws():
    assert library.shown_class("matplotlib.figure", "Figure").__name__ == "Figure"
    for module, name in (("matplotlib.cbook", "np.ndarray"), ("numpy", "ndarray"), ("matplotlib", "cbook")):
        assert library.shown_class(module, name) is None
