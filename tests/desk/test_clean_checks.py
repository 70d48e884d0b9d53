"""Checks in forked processes say exactly what `studium check` says, and survive all that an answer may do."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from studium.catalogue.catalogue import load_catalogue
from studium.desk.clean_check import CancelledError, Terms, check_document
from studium.desk.zygote import Zygote
from studium.notebooks.editions import compile_lesson

from ..conftest import Site
from .answering import RIGHT, UNSCALED

ANSWERS = {
    "right": RIGHT,
    "wrong": UNSCALED,
    "untouched": None,
    "syntax": "def merge(weight",
    "raises": "def merge(weight, a, b, alpha):\n    return weight @ alpha",
    "exits": "import os\nos._exit(7)",
    "endless": "while True:\n    pass",
    "helper": "scale = lambda r, alpha: alpha / r\n" + RIGHT.replace("alpha / len(a)", "scale(len(a), alpha)"),
    "local": "from mine import merge",
}


@pytest.fixture(scope="module", autouse=True)
def site(tmp_path_factory):
    """The sample topic, installed once for all tests: a warm process knows the topics of its start."""
    site = Site(tmp_path_factory.mktemp("site"))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(site.folder))
        patch.setenv("PYTHONPATH", str(site.folder))
        site.topic()
        yield site
    for name in [name for name in sys.modules if name.split(".")[0] in site.packages]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def zygote(site):
    zygote = Zygote()
    yield zygote
    zygote.close()


@pytest.fixture
def warm(zygote):
    return Terms(limit=2.0, launch=zygote.launch)


@pytest.fixture
def check(tmp_path):
    """check(answer, terms) → the result of the sample's lesson with this answer to merge."""
    (tmp_path / "mine.py").write_text(RIGHT)

    def check(answer, terms, exercise=None):
        catalogue = load_catalogue()
        notebook = compile_lesson(catalogue["sample"], catalogue.manager)
        if answer is not None:
            next(cell for cell in notebook.cells if cell.id == "sample-merge").source = answer
        return check_document(notebook, tmp_path / "sample.ipynb", exercise, terms, catalogue)

    return check


def test_a_forked_check_says_what_a_fresh_process_says(check, warm):
    for name, answer in ANSWERS.items():
        forked = check(answer, warm)
        if name == "local":  # a fresh process takes seconds
            assert forked == check(answer, replace(warm, launch=None)), name
        outcome = forked.exercises[0].outcome
        assert outcome == {"untouched": "not attempted"}.get(name, outcome)
        assert (outcome == "right") == (name in ("right", "helper", "local")), name
        assert forked.exercises[1].outcome == "not attempted"


def test_what_does_not_run_is_not_tested_and_python_itself_says_why(check, warm):
    result = check(ANSWERS["syntax"], warm, "merge").exercises[0]
    assert {test.message for test in result.tests} == {
        "the cell does not run: SyntaxError: '(' was never closed (line 1 of the cell)"
    }
    assert not result.tested
    assert check(UNSCALED, warm, "merge").exercises[0].tested


def test_what_an_answer_changes_is_not_there_at_the_next_check(check, warm):
    spoiled = "import torch\ntorch.zeros = None\n" + RIGHT
    assert check(spoiled, warm, "merge").exercises[0].outcome == "wrong"
    assert check(RIGHT, warm, "merge").exercises[0].outcome == "right"


def test_a_check_that_is_stopped_ends_at_once_and_its_process_too(check, warm, tmp_path):
    file = tmp_path / "pid"
    endless = f"import os\nopen({str(file)!r}, 'w').write(str(os.getpid()))\nwhile True: pass"
    with pytest.raises(CancelledError):
        check(endless, replace(warm, limit=60.0, stopped=lambda: file.exists() and file.read_text() != ""), "merge")
    assert gone(int(file.read_text()))


def gone(pid):
    """Wait until a process has ended; one that nobody has waited for has ended too."""
    for _ in range(200):
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.02)
    return False


def test_what_a_check_starts_ends_with_it(check, warm, tmp_path):
    starts = (
        f"import subprocess\nchild = subprocess.Popen(['sleep', '100'])\n"
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(child.pid))\n{RIGHT}"
    )
    assert check(starts, warm, "merge").exercises[0].outcome == "right"
    assert gone(int((tmp_path / "pid").read_text()))


def test_a_warm_process_that_was_killed_is_started_again(check, warm, zygote):
    check(RIGHT, warm, "merge")
    zygote._process._process.kill()
    assert check(RIGHT, warm, "merge").exercises[0].outcome == "right"


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is limited on Linux alone")
def test_an_answer_that_takes_more_memory_than_it_may_fails_and_nothing_else(check, warm):
    greedy = "import torch\n" + RIGHT.replace("return", "torch.ones(2**30)\n    return")
    (result,) = check(greedy, replace(warm, limit=20.0, memory_mb=500.0), "merge").exercises
    assert result.outcome == "wrong"
    assert "memory" in result.tests[0].message


def test_the_time_that_is_left_is_told(check, warm):
    told = []

    def watch(name, deadline):
        told.append((name, deadline - time.monotonic()))

    check(RIGHT, replace(warm, limit=60.0, watch=watch), "merge")
    assert "merge" in [name for name, _ in told]
    assert all(0 < left <= 60.0 for _, left in told)


def test_a_check_within_a_check_is_no_attempt(check, warm, store):
    check(RIGHT + "\nfrom studium import open_lesson\nopen_lesson('sample').check(merge)", warm, "merge")
    assert store.read("select count(*) from entries") == [(0,)]
