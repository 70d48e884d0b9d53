"""What is known of a notebook before any answer: what the judge runs itself, and what cannot run split."""

from __future__ import annotations

import sys

import pytest
from studium_graders.engine.judge.dotted_names import imported_names
from studium_graders.engine.judge.file_use import uses_files
from studium_graders.engine.judge.modes import plan_of
from studium_graders.engine.judge.one_process import Surroundings, reason_for_one_process
from studium_graders.engine.judge.prepare import prepare
from studium_graders.engine.judge.python_text import is_silenced, parse
from studium_graders.engine.material.assignment import Calibration

from .notebooks import answer, checked, given, grade, material, submission


def reason(source):
    tree = parse(source)
    return reason_for_one_process(tree, Surroundings({} if tree is None else imported_names([tree])))


def is_of_files(source, handed_out=()):
    tree = parse(source)
    return uses_files(tree, imported_names([tree]), handed_out)


READING = "import numpy as np\nassert f(np.loadtxt('data.csv', delimiter=',')) == len(open('./data.csv', 'r').read())"


def test_a_test_that_reads_what_was_handed_out_alone_is_not_one_of_files():
    assert not is_of_files(READING, {"data.csv"})
    assert is_of_files(READING, {"other.csv"})
    assert is_of_files("open('data.csv', 'w').write('1')", {"data.csv"})


@pytest.mark.parametrize(
    "source",
    [
        "open('x.txt', 'w').write('1')",
        "import os\nassert os.path.exists('x')",
        "from os import listdir\nassert listdir() == f()",
        "from pathlib import Path\nassert Path('x').exists()",
        "from tempfile import TemporaryDirectory as folder\nwith folder() as d:\n    f(d)",
        "import shutil\nshutil.rmtree(f())",
        "import torch\nassert torch.load('x.pt')",
        "import pandas as pd\nassert pd.read_csv('x.csv').equals(f())",
        "exec('import os\\nos.remove(f())')",
    ],
)
def test_a_test_of_files_runs_where_the_files_are(source):
    assert reason(source)


def test_a_test_of_strings_and_lists_is_not_one_of_files():
    assert not is_of_files("x = f('a').replace('a', 'b')\nx.remove('c')\nassert x == f('open')")


@pytest.mark.parametrize(
    "source",
    [
        "get_ipython().run_line_magic('time', 'f()')",
        "!ls",
        "%timeit f()",
        "In[-1]",
        "assert f.__code__.co_argcount == 1",
        "from PIL import Image\nassert Image.open(f()).size == (2, 2)",
        "import shutil\nshutil.unpack_archive(f())",
        "import os\nos.chdir(f())",
        "import pandas as pd\nassert len(pd.read_parquet(f()))",
        "import signal\nsignal.alarm(5)",
        "import signal\nsignal = signal.alarm\nsignal(5)",
        "from threading import Thread\nThread(target=f).start()",
        "import asyncio\nassert await asyncio.gather(asyncio.to_thread(f, 1), g(2)) == [1, 2]",
        "import asyncio\nloop = asyncio.get_running_loop()\nassert await loop.run_in_executor(None, f, 1) == 1",
        "import sys\nassert 'numpy' not in sys.modules",
        "from unittest.mock import patch\nwith patch('os.getcwd'):\n    f()",
        "from unittest import mock\nwith mock.patch('builtins.len'):\n    f()",
        "import numpy as np\nsetattr(np, 'mean', None)",
        "import numpy as np\ndel np.mean",
        "import builtins\nbuiltins.len = None",
        "import numpy as np\nnp.mean = None",
        "import doctest\ndoctest.testmod()",
        "from torch.utils._python_dispatch import TorchDispatchMode\nclass Sizes(TorchDispatchMode): ...",
        "def f(:",
        "assert eval(f()) == 1024",
        "e = eval\nassert e(repr(f())) == f()",
        "import builtins, inspect\nbuiltins.exec(inspect.getsource(f), {})",
        "code = compile(f(), 'f', 'eval')",
        "eval('eval(f())')",
        "exec('from os import system\\nsystem(f())')",
        "from typing import get_type_hints as hints\nassert hints(f)['return'] is str",
        "import inspect\nassert inspect.signature(f, eval_str=True)",
        "import pickle\nassert pickle.loads(f({})) == {}",
        "from pickle import loads\nassert loads(f({})) == {}",
        "import marshal\nassert marshal.loads(f(1)) == 1",
        "import doctest\ndoctest.run_docstring_examples(f, globals())",
        "from timeit import timeit\nassert timeit(f, number=1) < 5",
        "import pandas as pd\nassert pd.eval(f()) == 2",
        "from sympy import sympify\nassert sympify(f()) == 2",
        "import importlib\nassert importlib.import_module(f()).pi",
        "assert __import__(f()).pi",
        "from operator import attrgetter\nassert attrgetter(f())(f) == 1",
        "from operator import methodcaller\nassert methodcaller('format', p=1)(f()) == '1'",
        "assert getattr(f(), 'format_map')({}) == ''",
        "import code\ncode.InteractiveInterpreter().runsource(f())",
        "import runpy\nrunpy.run_path(f())",
        "import yaml\nassert yaml.load(f({}), Loader=yaml.UnsafeLoader) == {}",
        "from yaml import unsafe_load\nassert unsafe_load(f({})) == {}",
    ],
)
def test_a_test_that_looks_into_a_process_runs_there(source):
    assert reason(source)


@pytest.mark.parametrize(
    "source",
    [
        "import warnings\nwith warnings.catch_warnings(record=True) as w:\n    f()",
        "import warnings\nwith warnings.catch_warnings():\n    warnings.simplefilter('error')\n    f()",
        "from warnings import filterwarnings\nfilterwarnings(category=RuntimeWarning, action='error')",
        "import numpy as np\nnp.testing.assert_no_warnings(f)",
        "import pytest\nwith pytest.warns(UserWarning):\n    f()",
        "with self.assertLogs('f') as found:\n    f()",
        "import logging\nlogging.getLogger().addHandler(handler)\nf()",
        "exec('import pytest\\npytest.warns(UserWarning, f)')",
    ],
)
def test_a_test_of_warnings_or_logs_runs_where_they_are_given(source):
    assert reason(source)


@pytest.mark.parametrize(
    "source",
    [
        "import warnings\nwarnings.filterwarnings('ignore')\nf()",
        "warn = f(1)\nassert warn.level == 1",
        "f('pytest.warns')",
    ],
)
def test_a_test_that_only_silences_warnings_stays_split(source):
    assert not reason(source)


@pytest.mark.parametrize(
    "source",
    [
        "assert f(1) == 1",
        "%matplotlib inline\nassert f(1)",
        "%%time\nassert f(1)",
        "import os\np = os.path.join('a', 'b')",
        "from unittest.mock import patch\nwith patch('__main__.f'):\n    g()",
        "import numpy as np\nnp.random.seed(0)\nnp.set_printoptions(precision=3)",
        "import sys, io\nsys.stdout = io.StringIO()",
        "import io, unittest.mock\nwith unittest.mock.patch('sys.stdout', new_callable=io.StringIO):\n    f()",
        "import io, sys\nfrom unittest import mock\nwith mock.patch.object(sys, 'stderr', io.StringIO()):\n    f()",
        "import warnings\nwarnings.simplefilter('ignore')",
        "for _ in range(3):\n    f(_)",
        "model.weight.data = x\nf.attribute = 1",
        "signal = f(3)\nassert signal.sum() == 3",
        "import ast\nassert ast.literal_eval(f()) == [1]",
        "exec('x = 1')\nassert eval('f(x)') == 2",
        "import yaml\nassert yaml.safe_load(f({})) == yaml.load(f({}), yaml.SafeLoader) == {}",
        "import re, torch\nassert re.compile(f()) and torch.compile",
        "model.eval()\nassert df.query('a > 1').shape == (1, 2)",
        "import importlib\nassert importlib.import_module('math').pi",
        "import operator\nassert sorted(f(), key=operator.attrgetter('a.b', 'c'))",
        "import operator\nassert operator.methodcaller('upper')(f()) == getattr(f, 'text')",
        "assert code == 3\neval = f\nassert eval(3) == 3",
        "for glob in f(3):\n    assert (lambda resource: resource.size)(glob) == 3",
    ],
)
def test_other_tests_run_split(source):
    assert not reason(source)


def here(*cells):
    """Return what the judge runs itself of the first cell."""
    made = prepare(material(*cells))
    return len(made.here["given0"])


USE = (answer("def f(x):\n    return x"), checked("assert near(f(1), 1)\nassert X"))


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ("def near(a, b): return a == b", 1),
        ("def near(a, b): return f(a) == f(b)", 1),
        ("X = f(3)", 0),
        ("def g(): return f(3)\nX = g()", 0),
        ("Y = 1\nX = Y + 1\nZ = 5", 2),
        ("import matplotlib.pyplot as plt\nplt.plot([1])\nprint('hello')", 0),
        ("X = []\nX.append(2)\nY = []", 2),
        ("import numpy as np\nnp.set_printoptions(precision=3)", 2),
        ("get_ipython()\nX = 1", 1),
        ("import numpy as np\nnp.random.seed(0)\nunused = np.random.rand(2)\nX = np.random.rand(3)", 4),
    ],
)
def test_the_judge_runs_what_tests_need_and_nothing_that_needs_the_student(source, count):
    assert here(given(source), *USE) == count


def test_given_code_that_fails_here_falls_to_the_student(student):
    notebook = material(given("X = undefined_here()\n"), answer("X = 3"), checked("assert X == 3"))
    assert grade(student, notebook, submission(notebook, "X = 3")).points == [1]


def test_a_module_that_was_handed_out_can_be_imported(monkeypatch):
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    files = {
        "course_checks.py": b"LIMIT = 3",
        "data.csv": b"1",
        "course_pack/__init__.py": b"from course_pack import a",
        "course_pack/a.py": b"x = 1",
    }
    prepare(material(checked("from course_checks import LIMIT\nimport course_pack\nassert f")), files=files)
    assert sys.modules.pop("course_checks").LIMIT == 3
    assert sys.modules.pop("course_pack.a").x == 1
    sys.modules.pop("course_pack")


@pytest.mark.parametrize(("source", "silenced"), [("f();", True), ("f(); # no", True), ("f()", False), ("';'", False)])
def test_a_semicolon_at_the_end_hides_the_value(source, silenced):
    assert is_silenced(source) is silenced


def plan(*tests):
    """Decide how tests of an answer ``f`` run; the names of those that are unverified, and of those that are late."""
    notebook = material(answer("def f(x):\n    return x"), *tests)
    names = {cell.id: cell.grade_id for cell in notebook.cells}
    made = plan_of(prepare(notebook), Calibration())
    return {names[cell] for cell, reason in made.reasons.items() if reason}, {names[cell] for cell in made.late}


GC = "import gc\ngc.collect()\n"


def test_a_test_that_reads_what_an_unverified_one_makes_is_unverified():
    made = checked(f"{GC}x = f(1)\ndef near(a, b):\n    return a == b", grade_id="made")
    tests = made, checked("assert x == 1", grade_id="reads"), checked("assert near(f(1), 1)", grade_id="defined")
    assert plan(*tests) == ({"made", "reads"}, set())
    assert plan(made, checked("x = f(2)\nassert x == 2", grade_id="own")) == ({"made"}, set())


def test_a_test_that_reads_what_a_verified_one_makes_is_verified():
    assert plan(checked("x = f(1)", grade_id="made"), checked("assert x == 1", grade_id="reads")) == (set(), set())


def test_a_visible_test_that_needs_what_is_hidden_counts_with_the_hidden_ones():
    hidden = checked("x = f(1)", grade_id="hidden", hidden=True)
    assert plan(hidden, checked("assert x == 1", grade_id="reads")) == (set(), {"reads"})
    assert plan(hidden, checked("x = 2\nassert f(2) == x", grade_id="own")) == (set(), set())
    seen = checked("x = f(1)\nassert f(12345)", grade_id="in part", hidden=True, released="x = f(1)")
    assert plan(seen, checked("assert x == 1", grade_id="reads")) == (set(), set())
