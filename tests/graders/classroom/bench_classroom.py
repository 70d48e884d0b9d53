"""Measures the course server: a class hands in within a minute while the server is killed, then many check at once.

Run by `make bench`. KILLS and STUDENTS in the environment say how often the server is killed and how many hand in.
Judges nothing but that nothing is lost: each student has one submission, its archive is there, and the gradebook has
one mark of it.
"""

import os
import random
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import httpx
import psutil
import pytest
from studium.classroom.client import ClassroomError, Client
from studium.classroom.messages import CheckRequest
from studium_classroom.classroom import Classroom
from studium_classroom.roles import Place, Role

from .conftest import join

pytestmark = pytest.mark.timeout(3600)
STUDENTS, SECONDS, AT_ONCE = int(os.environ.get("STUDENTS", "300")), 60.0, 30
KILLS = int(os.environ.get("KILLS", "20"))
ANSWER = "def total(values):\n    # {}\n    return sum(values)\n"


class Killed:
    """A server that is killed and started again at the same port."""

    def __init__(self, course: Path, log: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.course, self.log, self.kills = course, log, 0
        self.url = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "studium", "classroom", "serve", "--port", str(self.port)]
        with self.log.open("a") as log:
            self.process = subprocess.Popen([*command, "--course", str(self.course)], stdout=log, stderr=log)
        while True:
            try:
                return httpx.get(f"{self.url}/api/health", timeout=5).raise_for_status()
            except httpx.HTTPError:
                assert self.process.poll() is None, self.log.read_text()
                time.sleep(0.1)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.kills += 1
        self.start()

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


@pytest.fixture
def server(course: Path, tmp_path: Path):
    running = Killed(course, tmp_path / "log")
    yield running
    running.stop()


@pytest.fixture
def tokens(course: Path) -> dict[str, str]:
    classroom = Classroom([course], course / ".studium" / "classroom")
    found = {
        f"s{number:03}": join(classroom, "course101", f"s{number:03}", Place(Role.STUDENT))
        for number in range(STUDENTS)
    }
    classroom.database.close()
    return found


def shown(name: str, times: list[float]) -> None:
    median, p95 = statistics.median(times), statistics.quantiles(times, n=20)[18]
    print(f"{name}: {len(times)} answers, median {median:.3f} s, p95 {p95:.3f} s, most {max(times):.3f} s")


def submit(url: str, token: str, archive: bytes, begin: float, times: list[float]) -> None:
    """Hand in at a moment of one's own; where the server is down, try again."""
    time.sleep(max(0.0, begin - time.monotonic()))
    while True:
        start = time.monotonic()
        try:
            with Client(url, token) as client:
                assert client.submit("course101", "ps1", archive).attempt == 1
        except ClassroomError:
            time.sleep(0.5)
        else:
            return times.append(time.monotonic() - start)


def test_a_class_hands_in_while_the_server_is_killed(tokens, server, course, archive: Callable[..., bytes]):
    times, start = [], time.monotonic()
    archives = {name: archive(total=ANSWER.format(name)) for name in tokens}
    done = threading.Event()

    def kill() -> None:
        while server.kills < KILLS and not done.wait(SECONDS / max(1, KILLS)):
            server.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    with ThreadPoolExecutor(AT_ONCE) as executor:
        begins = sorted(start + random.uniform(0, SECONDS) for _ in tokens)
        jobs = zip(tokens.items(), begins, strict=True)
        waiting = [
            executor.submit(submit, server.url, token, archives[name], begin, times) for (name, token), begin in jobs
        ]
        for one in waiting:
            one.result()
    handed_in = time.monotonic() - start
    killer.join()
    shown(f"submissions over {server.kills} kills, within {handed_in:.0f} s", times)
    classroom = Classroom([course], course / ".studium" / "classroom")
    wait_until_graded(classroom)
    print(f"all marks are there after {time.monotonic() - start:.0f} s")
    attempts = classroom.submissions.attempts("course101")
    assert {name: len(rows) for (_, name), rows in attempts.items()} == dict.fromkeys(tokens, 1)
    for (_, name), (row,) in attempts.items():
        assert classroom.submissions.archive(row) == archives[name]
        assert (row.state, row.score) == ("graded", 3.0)
    classroom.database.close()
    with closing(sqlite3.connect(course / "gradebook.db")) as gradebook:
        query = "select student_id, count(*) from submitted_assignment group by student_id"
        assert dict(gradebook.execute(query)) == dict.fromkeys(tokens, 1)


def wait_until_graded(classroom: Classroom) -> None:
    end = time.monotonic() + 3600
    while classroom.submissions.waiting():
        assert time.monotonic() < end
        time.sleep(1)


def test_what_a_submission_costs_the_server(tokens, server, archive: Callable[..., bytes]):
    process, times = psutil.Process(server.process.pid), []
    before = process.cpu_times()
    for name in list(tokens)[:50]:
        submit(server.url, tokens[name], archive(total=ANSWER.format(name)), 0.0, times)
    after = process.cpu_times()
    used = after.user + after.system - before.user - before.system
    shown("submissions one by one", times)
    print(f"processor time of the server: {1000 * used / len(times):.1f} ms for each")


def test_how_soon_a_submission_has_its_mark_and_feedback(tokens, server, archive: Callable[..., bytes]):
    """Where the course shows marks at once, one submission after the other; the first one starts the engine."""
    times = [marked(server.url, tokens[name], archive(total=ANSWER.format(name))) for name in list(tokens)[:11]]
    print(f"the first mark, for which the engine starts: {times[0]:.2f} s")
    shown("from a submission to its mark and feedback", times[1:])


def marked(url: str, token: str, archive: bytes) -> float:
    start = time.monotonic()
    with Client(url, token) as client:
        client.submit("course101", "ps1", archive)
        while True:
            [attempt] = next(one for one in client.assignments("course101") if one.name == "ps1").attempts
            if attempt.score is not None and attempt.feedback:
                return time.monotonic() - start
            time.sleep(0.05)


def test_thirty_students_check_at_once(tokens, server, answered: Callable[..., dict[str, bytes]]):
    document = answered(total=ANSWER.format("a check"))["counting.ipynb"].decode()
    names = list(tokens)[:AT_ONCE]
    first = check(server.url, tokens[names[0]], document)
    print(f"the first check, which starts the engine: {first:.2f} s")
    alone = [check(server.url, tokens[name], document) for name in names[1:6]]
    shown("one check at a time", alone)
    with ThreadPoolExecutor(AT_ONCE) as executor:
        shown("30 checks at once", list(executor.map(lambda name: check(server.url, tokens[name], document), names)))


def check(url: str, token: str, document: str) -> float:
    start = time.monotonic()
    with Client(url, token) as client:
        (found,) = client.check("course101", "ps1", CheckRequest("counting", document, "total")).exercises
    assert found.outcome == "right"
    return time.monotonic() - start
