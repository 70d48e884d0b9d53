"""The whole engine: right answers get their points, and one bad exercise costs itself alone."""

from concurrent.futures import ThreadPoolExecutor

import msgspec
import psutil
import pytest
from studium_graders.engine.material.assignment import CanonicalNotebook, CanonicalSubmission
from studium_graders.engine.sandbox import Level, probe
from studium_graders.engine.supervision.engine import Engine, EngineError

from .conftest import LIMITS, hand_made, handed_in

LOOP = "def second(x):\n    while True:\n        pass"


def points(result):
    return [test.points for test in result.tests]


def test_a_right_submission_gets_all_points(grade, engine):
    result = grade()
    assert (points(result), result.verdict, result.sandbox) == ([1, 1, 1, 1], "graded", engine.level.label)


def test_an_untouched_submission_gets_none(grade, engine):
    stubs = {cell.id: cell.source for cell in engine.material.notebooks[0].cells if cell.kind == "answer"}
    assert points(grade(**stubs)) == [0, 0, 0, 0]


# what an answer does, the verdict of the notebook, words of the message; the name of each is the key
OFFENCES = {
    "deaf loop": (
        f"""
import signal
for number in (1, 2, 3, 15):
    signal.signal(number, signal.SIG_IGN)
{LOOP}
""",
        "time limit",
        "6 s",
    ),
    "loop in a cell": ("while True:\n    pass", "time limit", "endless loop"),
    "exit": ("def second(x):\n    import os\n    os._exit(0)", "ended early", "os._exit()"),
    "exit in a cell": ("import os\nos._exit(0)", "ended early", "os._exit()"),
    "crash": ("import ctypes\ndef second(x):\n    ctypes.string_at(0)", "ended early", "crash"),
    "memory": (
        """
def second(x):
    kept = []
    while True:
        kept.append(bytearray(50_000_000))
""",
        "memory limit",
        "512 MB",
    ),
    "shared memory": (
        """
import mmap
def second(x):
    kept = []
    while True:
        kept.append(mmap.mmap(-1, 100 << 20))
        kept[-1].write(bytes(100 << 20))
""",
        "graded",
        "PermissionError",
    ),
    "one big tensor": ("def second(x):\n    return torch.ones(10**10)", "memory limit", "512 MB"),
    "fork bomb": (
        """
import os
def second(x):
    while True:
        try:
            os.fork()
        except OSError:
            pass
""",
        "process limit",
        "32 processes",
    ),
    "output": ("def second(x):\n    while True:\n        print('x' * 1000)", "output limit", "printed"),
    "disk": (
        """
def second(x):
    n = 0
    while n := n + 1:
        open(f"file{n}", "wb").write(bytes(1 << 20))
""",
        "disk limit",
        "16 MB",
    ),
    "files": ("def second(x):\n    return [open(f'file{n}', 'w') for n in range(100)]", "file limit", "64 files"),
    "files in a cell": ("kept = [open(f'file{n}', 'w') for n in range(100)]", "file limit", "not defined"),
    "noise on the wire": (
        """
import os
def second(x):
    for n in range(3, 20):
        try:
            os.write(n, b"nonsense" * 99)
        except OSError:
            pass
    return 8
""",
        "broken protocol",
        "connection",
    ),
    "SystemExit": ("def second(x):\n    raise SystemExit", "graded", "SystemExit"),
    "no Python": ("def second(x:", "graded", "not defined"),
}
DAEMON = """
import os, signal, time
def second(x):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(1000)
        os._exit(0)
    return 8
"""


def test_time_of_a_processor_is_limited_and_nothing_is_run_again_for_it(material, ancestor, hand_in):
    limits = msgspec.structs.replace(material.limits, cpu_seconds=1, call_seconds=20)
    strict = msgspec.structs.replace(material, limits=limits)
    with Engine(strict, probe().level, trust=True, ancestor=ancestor) as engine:
        result = engine.grade(hand_in(second=LOOP))
    assert (points(result), result.verdict) == ([1, 0, 1, 1], "time limit")
    assert result.tests[1].message == "stopped after 1 s of computing: is there an endless loop?"
    assert result.notebooks[0].notes == []


AT_NIGHT = {"exit in a cell", "files in a cell", "one big tensor", "loop in a cell"}  # others are of their class


@pytest.mark.parametrize(
    ("source", "verdict", "words"),
    [
        pytest.param(*case, id=name, marks=pytest.mark.heavy if name in AT_NIGHT else ())
        for name, case in OFFENCES.items()
    ],
)
def test_what_ends_one_exercise_costs_that_exercise_alone(grade, source, verdict, words):
    result = grade(second=source)
    assert (points(result), result.verdict) == ([1, 0, 1, 1], verdict)
    assert words in result.tests[1].message


def test_after_everything_no_process_of_a_student_is_left(grade, engine):
    assert points(grade(second=DAEMON)) == [1, 1, 1, 1]
    assert psutil.Process(engine._student.pid).children() == []
    assert psutil.Process(engine._judge.pid).children() == []


def test_many_threads_grade_at_the_same_time(engine, grade):
    wrong = {"first": "def first(x):\n    return x"}
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda n: points(grade(**(wrong if n % 2 else {}))), range(12)))
    assert results == [[1, 1, 1, 1], [0, 1, 1, 1]] * 6


def test_files_that_were_handed_in_are_in_the_working_folder(grade):
    reading = "def second(x):\n    return int(open('data/eight.txt').read())"
    files = {"data/eight.txt": b"8", "../out": b"", "/etc/x": b""}
    assert points(grade(files=files, second=reading)) == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [({"missing": True}, "missing"), ({"problem": "the file is no notebook"}, "unreadable")],
)
def test_a_notebook_that_cannot_be_run_gets_a_verdict_and_no_points(engine, changes, verdict):
    notebook = CanonicalNotebook("book", (), b"{}", **changes)
    result = engine.grade(CanonicalSubmission("alice", (notebook,)))
    assert (result.verdict, result.score, result.max_score) == (verdict, 0, 4)


def test_a_level_below_l2_must_be_trusted(material):
    with pytest.raises(EngineError, match="--trust-submissions"):
        Engine(material, Level.L1)


def test_a_sandbox_that_cannot_be_entered_stops_grading(material, ancestor, hand_in):
    limits = msgspec.structs.replace(material.limits, open_files=1)  # fewer than it takes to enter
    narrow = msgspec.structs.replace(material, limits=limits)
    with (
        Engine(narrow, probe().level, trust=True, ancestor=ancestor) as engine,
        pytest.raises(EngineError, match="studium doctor"),
    ):
        engine.grade(hand_in())


def _descriptors():
    return psutil.Process().num_fds()


@pytest.mark.parametrize("count", [6, pytest.param(300, marks=pytest.mark.heavy)])
def test_descriptors_and_memory_do_not_grow(grade, engine, count):
    for _ in range(5):
        grade()
    zygotes = [psutil.Process(pid) for pid in (engine._student.pid, engine._judge.pid)]
    before = [_descriptors(), *(zygote.num_fds() for zygote in zygotes)]
    memory = [zygote.memory_info().rss for zygote in (psutil.Process(), *zygotes)]
    for _ in range(count):
        grade()
    after = [_descriptors(), *(zygote.num_fds() for zygote in zygotes)]
    assert all(now <= then for now, then in zip(after, before, strict=True)), (before, after)
    grown = [after.memory_info().rss - start for after, start in zip((psutil.Process(), *zygotes), memory, strict=True)]
    assert max(grown) < 8 << 20


def test_an_iterator_without_end_is_stopped_like_a_loop_without_end(ancestor):
    answers = {"ones": "def ones(n):\n    return [1] * n", "last": "def last():\n    return 1"}
    tests = {"ones": "assert sum(ones(3)) == 3", "last": "assert last() == 1"}
    material = hand_made(answers, tests, limits=msgspec.structs.replace(LIMITS, call_seconds=1))
    with Engine(material, probe().level, jobs=1, trust=True, ancestor=ancestor) as engine:
        endless = "import itertools\ndef ones(n):\n    return itertools.repeat(1)"
        result = engine.grade(handed_in(material, "alice", answers | {"ones": endless}))
    assert [test.points for test in result.tests] == [0, 1]
    assert result.tests[0].message.startswith("stopped after")
