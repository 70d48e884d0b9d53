"""The course server as a service of a real JupyterHub, behind its proxy: groups are roles, tokens are the hub's."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from studium.classroom.overview import assignment_named, overview

from .real_hub import ADMIN, PROXY, WITHOUT_PROXY, Hub, running_hub

pytest.importorskip("jupyterhub")
pytestmark = [
    pytest.mark.heavy,
    pytest.mark.xdist_group("classroom"),
    pytest.mark.skipif(not PROXY, reason=WITHOUT_PROXY),
]
SINGLE_USER = """
import http.server, json, os, pathlib, urllib.parse
pathlib.Path("environment.json").write_text(json.dumps(dict(os.environ)))
url = urllib.parse.urlsplit(os.environ["JUPYTERHUB_SERVICE_URL"])
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b"ok")
    def log_message(self, *_): pass
http.server.HTTPServer((url.hostname, url.port), Handler).serve_forever()
"""


class Spawned:
    """What the own server of each of the hub's users has been told."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub

    def environment(self, user: str) -> dict[str, str]:
        """Spawn a user's server and return its environment."""
        self.hub.api("POST", f"users/{user}")
        assert self.hub.api("POST", f"users/{user}/server").status_code in (201, 202)
        path = self.hub.home(user) / "environment.json"
        for _ in range(600):
            if path.is_file() and (text := path.read_text()):
                return json.loads(text)
            time.sleep(0.2)
        raise AssertionError(f"the server of {user} did not start")


@pytest.fixture
def hub(course: Path, tmp_path: Path) -> Iterator[Hub]:
    script = tmp_path / "single_user.py"
    script.write_text(SINGLE_USER)
    groups = {"studium:course101:student": ["ada"], "formgrade-course101": ["grace"], "studium:another:owner": ["ada"]}
    with running_hub(course, tmp_path, [sys.executable, str(script)], groups) as hub:
        yield hub


def test_groups_of_the_hub_are_roles_and_a_students_own_server_hands_in(hub, archive, monkeypatch):
    spawned = Spawned(hub)
    ada, grace, eve = (spawned.environment(user) for user in ("ada", "grace", "eve"))
    ask = asking(hub)
    assert ask(ada, "GET", "me").json() == {
        "user": "ada",
        "courses": [{"course": "course101", "title": "course101", "role": "student", "section": ""}],
    }
    for name in ("STUDIUM_CLASSROOM", "JUPYTERHUB_API_TOKEN"):
        monkeypatch.setenv(name, ada[name])
    assert [view.name for view in overview().assignments] == ["ps1"]
    ps1 = "courses/course101/assignments/ps1"
    assert ask(ada, "POST", f"{ps1}/submissions", content=archive()).json()["attempt"] == 1
    status = ask(grace, "GET", f"{ps1}/status").json()
    assert [(row["student"], row["attempts"]) for row in status["students"]] == [("ada", 1)]
    assert ask(ada, "GET", f"{ps1}/status").status_code == 403
    assert ask(eve, "GET", f"{ps1}/handout").status_code == 403
    assert ask({}, "GET", "me").status_code == 401
    assert ask({"JUPYTERHUB_API_TOKEN": ADMIN}, "GET", "me").status_code == 401  # a service is nobody's student
    assert ask(ada, "POST", "courses/course101/board").status_code == 403
    look_at_the_board(hub, grace, monkeypatch)


def look_at_the_board(hub: Hub, grace: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Open a board from a terminal of grace's server, and read its first event through the proxy."""
    for name in ("STUDIUM_CLASSROOM", "JUPYTERHUB_API_TOKEN"):
        monkeypatch.setenv(name, grace[name])
    connection, view = assignment_named("ps1")
    with connection.client() as client:
        page, _, secret = client.board(view.course, view.name).partition("#")
    assert page == f"{hub.url}/services/classroom/board/course101/ps1"
    assert httpx.get(page).headers["content-type"].startswith("text/html")
    api = f"{hub.url}/services/classroom/api"
    session = httpx.post(f"{api}/board", json={"secret": secret}).json()
    headers = {"Authorization": f"board {session['token']}"}
    with httpx.stream("GET", f"{api}/courses/course101/assignments/ps1/live", headers=headers, timeout=60) as events:
        first = next(line for line in events.iter_lines() if line.startswith("data: "))
    assert [row["student"] for row in json.loads(first.removeprefix("data: "))["students"]] == ["ada"]


def asking(hub: Hub) -> Callable[..., httpx.Response]:
    """asking(hub)(environment, "GET", path) → the service's answer, through the proxy, to that server's token."""

    def ask(environment: dict[str, str], method: str, path: str, **options: object) -> httpx.Response:
        token = environment.get("JUPYTERHUB_API_TOKEN", "")
        headers = {"Authorization": f"token {token}"} if token else {}
        url = f"{hub.url}/services/classroom/api/{path}"
        return httpx.request(method, url, headers=headers, timeout=120, **options)

    return ask
