"""The course server as a service of a real JupyterHub, behind its proxy: groups are roles, tokens are the hub's."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from studium.classroom.overview import assignment_named, overview
from studium_classroom.hub import configuration
from studium_classroom.settings import read_settings

ROOT = Path(__file__).parents[3]
PROXY = shutil.which("configurable-http-proxy") or shutil.which(
    "configurable-http-proxy", path=ROOT / "build/hub/node_modules/.bin"
)
pytest.importorskip("jupyterhub")
pytestmark = [
    pytest.mark.heavy,
    pytest.mark.xdist_group("classroom"),
    pytest.mark.skipif(
        not PROXY, reason="configurable-http-proxy is not installed: run `make hub-proxy`, which needs npm"
    ),
]
ADMIN = "a-token-of-the-tests"
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
HUB = """
c.JupyterHub.bind_url = "http://127.0.0.1:{public}"
c.JupyterHub.hub_port = {hub}
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{api}"
c.ConfigurableHTTPProxy.command = [{proxy!r}]
c.ConfigurableHTTPProxy.pid_file = {pid!r}
c.JupyterHub.db_url = "sqlite://"
c.JupyterHub.cookie_secret_file = {cookie!r}
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.JupyterHub.spawner_class = "simple"
c.SimpleLocalProcessSpawner.home_dir_template = {homes!r}
c.Spawner.cmd = [{python!r}, {script!r}]
c.JupyterHub.services = [{{"name": "tests", "api_token": {admin!r}}}]
c.JupyterHub.load_roles = [
    {{"name": "tests", "services": ["tests"], "scopes": ["admin:users", "admin:servers", "tokens"]}}
]
c.JupyterHub.load_groups = {{
    "studium:course101:student": {{"users": ["ada"]}},
    "formgrade-course101": {{"users": ["grace"]}},
    "studium:another:owner": {{"users": ["ada"]}},
}}
"""


def free_ports(number: int) -> list[int]:
    sockets = [socket.socket() for _ in range(number)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Hub:
    """A running hub: ``url`` is its public address, ``token(user)`` gives what the user's own server has."""

    def __init__(self, url: str, homes: str) -> None:
        self.url, self.homes = url, homes

    def api(self, method: str, path: str, **options: object) -> httpx.Response:
        headers = {"Authorization": f"token {ADMIN}"}
        return httpx.request(method, f"{self.url}/hub/api/{path}", headers=headers, timeout=120, **options)

    def environment(self, user: str) -> dict[str, str]:
        """Spawn a user's server and return its environment."""
        self.api("POST", f"users/{user}")
        assert self.api("POST", f"users/{user}/server").status_code in (201, 202)
        path = Path(self.homes.format(username=user)) / "environment.json"
        for _ in range(600):
            if path.is_file() and (text := path.read_text()):
                return json.loads(text)
            time.sleep(0.2)
        raise AssertionError(f"the server of {user} did not start")


@pytest.fixture
def hub(course: Path, tmp_path: Path) -> Iterator[Hub]:
    public, api, port, own = free_ports(4)
    settings = f'courses = ["."]\nport = {own}\nurl = "http://127.0.0.1:{public}"\n'
    (course / "classroom.toml").write_text(settings)
    script = tmp_path / "single_user.py"
    script.write_text(SINGLE_USER)
    homes = str(tmp_path / "homes" / "{username}")
    text = HUB.format(
        public=public, hub=port, api=api, proxy=PROXY, pid=str(tmp_path / "proxy.pid"), cookie=str(tmp_path / "cookie"),
        homes=homes, python=sys.executable, script=str(script), admin=ADMIN,
    )  # fmt: skip
    (tmp_path / "jupyterhub_config.py").write_text(text + configuration(read_settings(course), course, "classroom"))
    with (tmp_path / "hub.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyterhub", "-f", "jupyterhub_config.py"],
            cwd=tmp_path, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    try:
        wait_for(f"http://127.0.0.1:{public}/services/classroom/api/health", tmp_path / "hub.log")
        yield Hub(f"http://127.0.0.1:{public}", homes)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(60)


def wait_for(url: str, log: Path) -> None:
    for _ in range(1500):
        try:
            if httpx.get(url, timeout=5).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.2)
    raise AssertionError("\n".join(line for line in log.read_text().splitlines() if "JupyterHub" in line)[-4000:])


def test_groups_of_the_hub_are_roles_and_a_students_own_server_hands_in(hub, archive, monkeypatch):
    ada, grace, eve = (hub.environment(user) for user in ("ada", "grace", "eve"))
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
