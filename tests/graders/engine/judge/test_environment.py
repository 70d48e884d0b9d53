"""Variables of the environment: the same in a test as in the student's process, where the test names them."""

from __future__ import annotations

import os

import pytest

from .notebooks import answer, checked, given, material, submission
from .processes import assert_split_as_in_one_process, calibrate, grade_forked

GIVEN = "import os\nfrom unittest import mock\n"
KEY = """
import os
def key():
    return os.environ["APP_KEY"]
"""
OTHER_KEY = """
from os import getenv
def key():
    if not getenv("APP_KEY"):
        raise KeyError("APP_KEY")
    return getenv("APP_KEY")
"""
SETS_IT = """
import os
def key():
    os.environ["APP_KEY"] = "mine"
    return "mine"
"""
LIES = """
from studium_graders.engine.remote.student import StudentSide
StudentSide.do_environ = lambda *_: bytes([129, 167]) + b"APP_KEY" + bytes([164]) + b"mine"
def key():
    return "mine"
"""
CONSTANT = "def key(): return 'abc'\n"
SETS = """
import os
def configure(mode):
    os.environ["APP_MODE"] = mode
    os.environ.pop("APP_OLD", None)
"""
TESTS = {
    "read": (
        "os.environ['APP_KEY'] = 'abc'\nassert key() == 'abc'\nos.environ['APP_KEY'] = 'x'\nassert key() == 'x'\n"
        "del os.environ['APP_KEY']\ntry:\n    key()\nexcept KeyError:\n    pass\nelse:\n    assert False",
        (KEY, OTHER_KEY),
        (CONSTANT,),
    ),
    "for a while": (
        "with mock.patch.dict(os.environ, {'APP_KEY': 'q'}):\n    assert key() == 'q'\n"
        "with mock.patch.dict('os.environ', {'APP_KEY': 'r'}):\n    assert key() == 'r'",
        (KEY, OTHER_KEY),
        (CONSTANT,),
    ),
    "set by the answer": (
        "os.environ['APP_OLD'] = '1'\nconfigure('test')\nassert os.getenv('APP_MODE') == 'test'\n"
        "assert 'APP_OLD' not in os.environ",
        (SETS,),
        (SETS.replace("= mode", "= 'prod'"), SETS.replace('    os.environ.pop("APP_OLD", None)\n', "")),
    ),
    "in text": (
        "exec(\"import os\\nos.environ['APP_KEY'] = 'abd'\")\nassert key() == 'abd'",
        (KEY, OTHER_KEY),
        (CONSTANT,),
    ),
}


@pytest.mark.parametrize("name", TESTS)
def test_a_variable_that_a_test_names_is_the_same_as_in_one_process(shell, name):
    test, right, wrong = TESTS[name]
    notebook = material(given(GIVEN, locked=True), answer(right[0]), checked(test))
    assert_split_as_in_one_process(shell, notebook, right, wrong)
    assert not any(key.startswith("APP_") for key in os.environ)


OTHERS = ["dict(os.environ)", "os.environ['HOME']", "os.environ.update(APP_KEY='1')", "os.environ['MPL' + 'BACKEND']"]


@pytest.mark.parametrize("wrong", [SETS_IT, LIES])
def test_what_a_test_has_set_is_compared_with_as_the_test_has_set_it(shell, wrong):
    test = "os.environ['APP_KEY'] = 'abc'\nassert key() == os.environ['APP_KEY']\ndel os.environ['APP_KEY']"
    notebook = material(given(GIVEN, locked=True), answer(KEY), checked(test))
    calibration = calibrate(shell, notebook)
    for text, points in ((OTHER_KEY, 1), (wrong, 0)):
        assert grade_forked(shell, notebook, submission(notebook, text), calibration).points == [points]


@pytest.mark.parametrize("use", OTHERS)
def test_the_environment_as_a_whole_is_that_of_one_process(shell, use):
    notebook = material(given(GIVEN + "os.environ['MPLBACKEND'] = 'agg'\n"), answer(KEY), checked(f"{use}\nkey"))
    assert (
        grade_forked(shell, notebook, submission(notebook, KEY), calibrate(shell, notebook)).only.mode == "one process"
    )


def test_an_answer_sets_no_variable_of_the_judge_that_the_test_does_not_name(shell):
    hostile = (
        SETS
        + "os.environ['APP_OTHER'] = os.environ['PYTHONSTARTUP'] = 'taken'\n"
        + (
            "import gc\nfor item in gc.get_objects():\n    if type(item).__name__ == 'StudentSide':\n"
            "        import msgspec\n"
            "        told = {'APP_MODE': 'test', 'APP_MORE': 'taken', 'PYTHONSTARTUP': 'taken'}\n"
            "        type(item).do_environ = lambda *_: msgspec.msgpack.encode(told)\n"
        )
    )
    test = "configure('test')\nassert os.environ['APP_MODE'] == 'test'"
    notebook = material(given(GIVEN, locked=True), answer(SETS), checked(test))
    result = grade_forked(shell, notebook, submission(notebook, hostile), calibrate(shell, notebook)).only
    assert (result.points, result.mode) == (1, "split"), result.message
    assert not {"APP_MODE", "APP_OTHER", "APP_MORE", "PYTHONSTARTUP"} & os.environ.keys()
