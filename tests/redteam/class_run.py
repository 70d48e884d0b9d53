"""One class run of ours: all cases of a course through ``grade_class`` and ``write_feedback``, with traps around it.

The traps are a secret file, a token in the environment, servers that wait for a connection, a folder that everybody may
write to, and the processes and kernel objects of the machine.
"""

import json
import os
import socket
import sysconfig
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import psutil
from nbgrader.api import Gradebook, MissingEntry
from studium.catalogue.catalogue import load_catalogue
from studium_graders.engine.material.results import SubmissionResult
from studium_graders.feedback import write_feedback
from studium_graders.grading.class_run import grade_class
from studium_graders.grading.options import GradeOptions
from studium_graders.results.store import StoredResult, file_name

from .classroom import Classroom, filled, hand_in, make_course
from .corpus import Case

TOKEN = "TOKEN-4711-of-the-instructor"
CANARY = "CANARY-TEST-8d1f0a"  # in hidden tests of courses/
Serve = Callable[[socket.socket, list[bytes]], None]
LIMITS = """
[limits]
call_seconds = 4
submission_seconds = 120
cpu_seconds = 60
memory_mb = 1024
disk_mb = 32
output_kb = 64
message_mb = 64
"""


@dataclass
class Traps:
    """What an attack may find or touch; ``heard`` is what was sent to the servers."""

    folder: Path
    port: int = 0
    heard: list[bytes] = field(default_factory=list)

    @property
    def places(self) -> dict[str, str]:
        """The values of the places in the texts of cases."""
        site = sysconfig.get_path("purelib")
        return {
            "OUTSIDE": str(self.folder / "outside"),
            "SECRET": str(self.folder / "secret.txt"),
            "TOKEN": TOKEN,
            "PORT": str(self.port),
            "SITE": site,
        }


@dataclass
class Outcome:
    """What became of a case: the marks in the gradebook, the engine's result, the pages that were written."""

    marks: dict[str, float]
    result: SubmissionResult | None
    pages: list[str]
    autograded: list[dict[str, Any]]

    @property
    def shown(self) -> str:
        """All that the result lets a student see: messages, and what the cells printed."""
        if self.result is None:
            return ""
        books = self.result.notebooks
        texts = [text for book in books for text in (book.detail, *(t.message for t in book.tests))]
        outputs = [run for book in books for run in book.runs.values()]
        return "\n".join(texts) + json.dumps(msgspec.to_builtins(outputs), ensure_ascii=False)


@dataclass
class ClassRun:
    """All cases of one course after grading, by id; ``passed_vacuously`` are the tests that the author was told of."""

    room: Classroom
    sandbox: str
    outcomes: dict[str, Outcome]
    traps: Traps
    cases: dict[str, Case]
    problems: list[str]
    before: dict[str, bytes]
    left_running: list[str]
    passed_vacuously: set[str]

    def labelled(self, case: Case) -> set[str]:
        """Return the tests whose label says that passing means less: the vacuous ones, and unverified ones."""
        result = self.outcomes[case.id].result
        return self.passed_vacuously | {
            test.grade_id for test in (result.tests if result else []) if test.mode == "unverified"
        }


def leaks(run: ClassRun, case: Case) -> list[str]:
    """Name the secrets that students are shown after a case, and the paths that it has left."""
    own, found = run.cases[case.id], run.outcomes[case.id]
    shown = [text for text in (*own.forbidden, CANARY, TOKEN) if text in found.shown]
    shown += [text for text in (CANARY, TOKEN) if any(text in page for page in found.pages)]
    return shown + [path for path in own.leaves if Path(path).exists()]


class _Watcher:
    def begin(self, total: int, sandbox: str) -> None: ...

    def done(self, student: str, *, reused: bool) -> None: ...

    def note(self, sentence: str) -> None: ...

    def agree(self, changes: object) -> bool:
        return True


def run_class(folder: Path, course: str, cases: Sequence[Case], limits: str = LIMITS) -> ClassRun:
    """Grade the cases, which all answer ``course``."""
    room = make_course(folder / course, course, limits)
    with set_traps(folder) as traps:
        own = [filled(case, traps.places | {"ID": case.id, "COURSE": str(room.root)}) for case in cases]
        for case in cases:
            hand_in(room, case, traps.places)
        before = _contents(room.root / "source") | _contents(room.root / "release")
        report = grade_class(room.root, course, GradeOptions(), load_catalogue(), _Watcher())
        write_feedback(room.root, course)
    outcomes = {case.id: _outcome(room, case) for case in cases}
    running = [process.name() for process in psutil.process_iter() if process.name().startswith("redteam-")]
    kept = {case.id: case for case in own}
    told = {test.test for test in report.vacuous}
    return ClassRun(room, report.sandbox, outcomes, traps, kept, report.problems, before, running, told)


def changed_files(run: ClassRun) -> list[str]:
    """Name the files of source/ and release/ that are not what they were."""
    now = _contents(run.room.root / "source") | _contents(run.room.root / "release")
    return sorted(path for path in run.before.keys() | now.keys() if run.before.get(path) != now.get(path))


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _outcome(room: Classroom, case: Case) -> Outcome:
    marks: dict[str, float] = {}
    with Gradebook(f"sqlite:///{room.root / 'gradebook.db'}") as book, suppress(MissingEntry):
        submission = book.find_submission(room.name, case.name)
        marks = {g.name: float(g.score) for n in submission.notebooks for g in n.grades if g.name in room.tests}
    stored = room.root / ".studium" / "results" / room.name / f"{file_name(case.name)}.msgpack"
    result = msgspec.msgpack.decode(stored.read_bytes(), type=StoredResult).result if stored.is_file() else None
    pages = (room.root / "feedback" / case.name / room.name).glob("*.html")
    graded = room.root / "autograded" / case.name / room.name / f"{room.name}.ipynb"
    notebooks = [json.loads(graded.read_text("utf-8"))] if graded.is_file() else []
    return Outcome(marks, result, [page.read_text("utf-8") for page in pages], notebooks)


@contextmanager
def set_traps(folder: Path) -> Iterator[Traps]:
    """Set the traps in ``folder``, and take them away again."""
    traps = Traps(folder)
    outside = folder / "outside"
    outside.mkdir()
    outside.chmod(0o777)
    (folder / "secret.txt").write_text(f"{TOKEN}\n")
    os.environ["STUDIUM_REDTEAM_TOKEN"] = TOKEN
    with ExitStack() as stack:
        for server, serve in _servers(traps, outside / "socket"):
            stack.enter_context(server)
            threading.Thread(target=serve, args=(server, traps.heard), daemon=True).start()
        yield traps
    del os.environ["STUDIUM_REDTEAM_TOKEN"]


def _servers(traps: Traps, path: Path) -> Iterator[tuple[socket.socket, Serve]]:
    """Give sockets of TCP, UDP, the file system and Linux's abstract names, with what listens on each."""
    tcp = socket.create_server(("127.0.0.1", 0))
    traps.port = tcp.getsockname()[1]
    yield tcp, _accept
    datagrams = socket.socket(type=socket.SOCK_DGRAM)
    datagrams.bind(("127.0.0.1", traps.port))
    yield datagrams, _receive
    for name in (str(path), f"\0studium-redteam-{traps.port}"):
        local = socket.socket(socket.AF_UNIX)
        local.bind(name)
        local.listen()
        yield local, _accept
    path.chmod(0o777)


def _accept(server: socket.socket, heard: list[bytes]) -> None:
    server.settimeout(0.5)
    while server.fileno() >= 0:
        with suppress(OSError), server.accept()[0]:
            heard.append(b"a connection")


def _receive(server: socket.socket, heard: list[bytes]) -> None:
    server.settimeout(0.5)
    while server.fileno() >= 0:
        with suppress(OSError):
            heard.append(server.recv(1000))
