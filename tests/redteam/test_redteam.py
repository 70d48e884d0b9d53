"""Every case of the corpora through the whole pipeline: one class run for each course, one test for each case."""

import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import cache
from html import unescape
from pathlib import Path

import pytest

pytest.importorskip("nbgrader")

from studium_graders.engine.sandbox import Level, probe

from .class_run import LIMITS, ClassRun, Outcome, changed_files, leaks, run_class, set_traps
from .classroom import COURSES
from .corpus import HONEST, VACUOUS, Case, cases
from .pages import active_content, active_outputs

CASES = cases()
LONGEST = 1000
KERNEL_KEY = 0x57D10  # of exhaustion/shared-memory
pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the sandbox is Linux's"),
    pytest.mark.filterwarnings("ignore:Object of type <Submitted:sqlalchemy.exc.SAWarning"),  # nbgrader's own
    pytest.mark.timeout(1800),
]
by_course = pytest.mark.parametrize(
    "course", [pytest.param(name, marks=(pytest.mark.heavy, pytest.mark.xdist_group(name))) for name in COURSES]
)
by_case = pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=f"{case.kind}-{case.id}", marks=(pytest.mark.heavy, pytest.mark.xdist_group(case.course)))
        for case in CASES
    ],
)


@pytest.fixture(scope="session")
def graded() -> Iterator[Callable[[str], ClassRun]]:
    """graded("arrays") → the class run of that course, which takes place once."""
    if probe().level < Level.L2:
        pytest.skip("hostile code is run in a sandbox of level L2, which this machine does not have")
    with tempfile.TemporaryDirectory(prefix="redteam-") as made:
        root = Path(made)
        root.chmod(0o755)  # the traps could be reached, were it not for the sandbox

        @cache
        def run(course: str) -> ClassRun:
            (root / course).mkdir()
            return run_class(root / course, course, [case for case in CASES if case.course == course], LIMITS)

        yield run


def outcome(graded: Callable[[str], ClassRun], case: Case) -> Outcome:
    return graded(case.course).outcomes[case.id]


@by_case
def test_a_case_gets_the_marks_that_it_deserves(
    graded: Callable[[str], ClassRun], case: Case, request: pytest.FixtureRequest
) -> None:
    if case.known:
        request.applymarker(pytest.mark.xfail(reason=case.known))
    run, found = graded(case.course), outcome(graded, case)
    deserved = case.deserves(run.room.tests, run.room.exercises)
    messages = {test.grade_id: test.message for test in found.result.tests} if found.result else {}
    told = set() if case.honest else run.labelled(case)
    wrong = {
        name: (found.marks.get(name), points)
        for name, points in deserved.items()
        if found.marks.get(name) != points and name not in told
    }
    assert wrong == {}, {name: messages.get(name) for name in wrong}


@by_case
def test_a_case_shows_nobody_a_secret_and_leaves_nothing(graded: Callable[[str], ClassRun], case: Case) -> None:
    assert leaks(graded(case.course), case) == []


@by_case
def test_a_case_is_told_what_it_may_know(graded: Callable[[str], ClassRun], case: Case) -> None:
    found = outcome(graded, case)
    assert [text for text in case.told if not any(text in unescape(page) for page in found.pages)] == []


@by_case
def test_a_case_attacks_no_reader(graded: Callable[[str], ClassRun], case: Case) -> None:
    found = outcome(graded, case)
    assert [offence for page in found.pages for offence in active_content(page)] == []
    assert [offence for notebook in found.autograded for offence in active_outputs(notebook)] == []
    for message in [test.message for test in found.result.tests] if found.result else []:
        assert message.isprintable(), repr(message)
        assert len(message) <= LONGEST


@by_course
def test_a_class_run_is_whole_and_changes_nothing_else(graded: Callable[[str], ClassRun], course: str) -> None:
    run = graded(course)
    assert run.problems == []
    assert changed_files(run) == []
    assert run.traps.heard == []
    assert run.left_running == []
    kept = [Path(f"/proc/sysvipc/{kind}").read_text() for kind in ("shm", "sem", "msg")]
    assert [text for text in kept if f" {KERNEL_KEY} " in text] == []


@by_course
def test_every_plain_test_of_a_course_is_labelled_unverified(graded: Callable[[str], ClassRun], course: str) -> None:
    results = [found.result for found in graded(course).outcomes.values() if found.result]
    assert {test.mode for result in results for test in result.tests if test.outcome != "manual"} == {"unverified"}


def test_the_corpora_are_large_and_of_all_classes() -> None:
    hostile = [case for case in CASES if case.kind not in (HONEST, VACUOUS)]
    assert len(hostile) >= 90
    assert sum(case.honest for case in CASES) >= 40
    kinds = {"harness", "secrets", "forgery", "notebook", "exhaustion", "lookup", "reader"}
    assert {case.kind for case in hostile} == kinds
    assert len({case.name for case in CASES}) == len(CASES)


def test_a_page_with_a_script_a_handler_or_a_frame_is_seen() -> None:
    assert active_content("<p onclick='x()'><script>1</script><a href=' java\nscript:x()'>") == [
        "<p onclick>",
        "<script>",
        "<a href>",
    ]
    assert active_content("<p>&lt;script&gt;<a href='https://example.org'>") == []
    shown = {"cells": [{"outputs": [{"data": {"application/javascript": "1", "text/html": "<b>"}}]}]}
    assert active_outputs(shown) == ["a script type"]


def test_the_traps_hear_whoever_connects(tmp_path: Path) -> None:
    with set_traps(tmp_path) as traps:
        socket.create_connection(("127.0.0.1", traps.port)).close()
        with socket.socket(type=socket.SOCK_DGRAM) as one:
            one.sendto(b"x", ("127.0.0.1", traps.port))
        for name in (str(tmp_path / "outside" / "socket"), f"\0studium-redteam-{traps.port}"):
            with socket.socket(socket.AF_UNIX) as one:
                one.connect(name)
        deadline = time.monotonic() + 20
        while len(traps.heard) < 4 and time.monotonic() < deadline:
            time.sleep(0.05)
    assert sorted(traps.heard) == [*[b"a connection"] * 3, b"x"]
