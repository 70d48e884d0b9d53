"""What the tests of the course server share: a course that hands two assignments out, and servers of it."""

import asyncio
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
import pytest

pytest.importorskip("nbgrader")

import httpx
from studium.catalogue.catalogue import Catalogue
from studium.classroom.archive import pack
from studium.classroom.client import Client
from studium_classroom.classroom import Classroom
from studium_classroom.people import OwnTokens
from studium_classroom.roles import Place, Role
from studium_classroom.web.routes import application
from studium_graders.assignments.building import build_assignment
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

from .desks import Desk

ASSIGNMENTS = """
[[assignments]]
name = "ps1"
opens = 2026-01-01T08:00:00
due = 2099-03-01T23:59:00
topics = ["counting"]

[[assignments]]
name = "later"
opens = 2099-01-01T08:00:00
topics = ["counting"]
"""
ROLES = {
    "ada": Place(Role.STUDENT, "a"),
    "bob": Place(Role.STUDENT, "b"),
    "tom": Place(Role.TA, "a"),
    "grace": Place(Role.INSTRUCTOR),
    "olga": Place(Role.OWNER),
}


@dataclass
class Served:
    """A course server that answers in this process, without grading; ``tokens`` of its members by name."""

    classroom: Classroom
    url: str
    tokens: dict[str, str]
    clients: list[Client] = field(default_factory=list)

    def client(self, user: str = "") -> Client:
        """A client of one member, or of nobody; it is closed at the end."""
        self.clients.append(Client(self.url, self.tokens.get(user, "")))
        return self.clients[-1]

    def close(self) -> None:
        """End the connections and the database."""
        for client in self.clients:
            client.__exit__()
        self.classroom.database.close()

    def ask(self, user: str, method: str, path: str, **options: object) -> httpx.Response:
        """Send a raw request; user "" has no token."""
        headers = dict(options.pop("headers", {}))
        if user:
            headers.setdefault("Authorization", f"token {self.tokens.get(user, user)}")
        return httpx.request(method, f"{self.url}/api/{path}", headers=headers, timeout=60, **options)


@pytest.fixture(scope="session")
def built_course(counting: Catalogue, make_course: Callable[..., Path]) -> Path:
    """A course with ps1, which has opened, and later, which has not; only to be copied."""
    root = make_course(ASSIGNMENTS)
    build_assignment(root, "ps1", counting)
    shutil.copytree(root / "release" / "ps1", root / "release" / "later")
    return root


@pytest.fixture
def course(built_course: Path, tmp_path: Path) -> Path:
    """A copy of the course."""
    return Path(shutil.copytree(built_course, tmp_path / "course"))


@pytest.fixture
def served(course: Path, tmp_path: Path) -> Iterator[Served]:
    """A server of the course without grading, and its members."""
    classroom = Classroom([course], tmp_path / "data")
    with serving(classroom) as url:
        tokens = {name: join(classroom, "course101", name, place) for name, place in ROLES.items()}
        found = Served(classroom, url, tokens)
        yield found
        found.close()


def join(classroom: Classroom, course: str, user: str, place: Place) -> str:
    """Invite somebody and use the invitation."""
    return classroom.members.join(classroom.members.invite(course, user, place)).token


_LOOPS: dict[Classroom, asyncio.AbstractEventLoop] = {}


def tell(classroom: Classroom, course: str, assignment: str) -> None:
    """Tell the boards of a served classroom of a change, in its own thread: from another one it would come late."""
    _LOOPS[classroom].call_soon_threadsafe(classroom.live.changed, course, assignment)


@contextmanager
def serving(classroom: Classroom) -> Iterator[str]:
    """Answer requests in a thread until the end."""
    ready, ends = threading.Event(), []

    async def run() -> None:
        server = HTTPServer(application(classroom, OwnTokens(classroom.members)), max_body_size=80 << 20)
        sockets = bind_sockets(0, "127.0.0.1")
        server.add_sockets(sockets)
        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        ends.extend((sockets[0].getsockname()[1], lambda: loop.call_soon_threadsafe(stop.set)))
        _LOOPS[classroom] = loop
        ready.set()
        await stop.wait()
        del _LOOPS[classroom]
        classroom.live.close()
        server.stop()
        await server.close_all_connections()

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    assert ready.wait(30)
    try:
        yield f"http://127.0.0.1:{ends[0]}"
    finally:
        ends[1]()
        thread.join(30)


@pytest.fixture(scope="session")
def answered(built_course: Path) -> Callable[..., dict[str, bytes]]:
    """answered(total="def total(values): …") → the files of ps1 with these answers."""

    def files(**answers: str) -> dict[str, bytes]:
        notebook = nbformat.read(built_course / "release" / "ps1" / "counting.ipynb", as_version=4)
        for cell in notebook.cells:
            own = cell.metadata.get("studium", {})
            if own.get("role") == "exercise" and own.get("exercise") in answers:
                cell.source = answers[own["exercise"]]
        return {"counting.ipynb": json.dumps(notebook).encode()}

    return files


@pytest.fixture(scope="session")
def archive(answered: Callable[..., dict[str, bytes]]) -> Callable[..., bytes]:
    """archive(total=…) → what a student sends."""
    return lambda **answers: pack(answered(**answers))


@pytest.fixture
def desk(tmp_path: Path) -> Callable[..., Desk]:
    """desk("ada", url, token, STUDENT) → a machine of hers."""

    def make(name: str, url: str, token: str, config: str) -> Desk:
        folder = tmp_path / name
        (folder / "data").mkdir(parents=True)
        (folder / "nbgrader_config.py").write_text(config)
        joined = [{"url": url, "token": token, "course": "course101"}]
        (folder / "data" / "classroom.json").write_text(json.dumps(joined))
        return Desk(folder)

    return make
