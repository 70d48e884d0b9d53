"""A real JupyterHub behind its proxy, with the course server as its service: what the tests with a hub share."""

import shutil
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from studium_classroom.hub import configuration
from studium_classroom.settings import read_settings

from tests.children import child

ROOT = Path(__file__).parents[3]
PROXY = shutil.which("configurable-http-proxy") or shutil.which(
    "configurable-http-proxy", path=ROOT / "build/hub/node_modules/.bin"
)
WITHOUT_PROXY = "configurable-http-proxy is not installed: run `make hub-proxy`, which needs npm"
ADMIN = "a-token-of-the-tests"
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
c.Spawner.cmd = {command!r}
c.Spawner.start_timeout = c.Spawner.http_timeout = 600
c.Spawner.environment = {{"STUDIUM_PROFILE": "smoke"}}
c.JupyterHub.services = [{{"name": "tests", "api_token": {admin!r}}}]
c.JupyterHub.load_roles = [
    {{"name": "tests", "services": ["tests"], "scopes": ["admin:users", "admin:servers", "tokens"]}}
]
c.JupyterHub.load_groups = {groups!r}
"""


class Hub:
    """A running hub: ``url`` is its public address, ``home(user)`` the folder in which a user's server runs."""

    def __init__(self, url: str, homes: str) -> None:
        self.url, self._homes = url, homes

    def home(self, user: str) -> Path:
        return Path(self._homes.format(username=user))

    def api(self, method: str, path: str, **options: object) -> httpx.Response:
        headers = {"Authorization": f"token {ADMIN}"}
        return httpx.request(method, f"{self.url}/hub/api/{path}", headers=headers, timeout=120, **options)


@contextmanager
def running_hub(server: Path, folder: Path, command: list[str], groups: dict[str, list[str]]) -> Iterator[Hub]:
    """Run a hub in ``folder`` whose users' servers are ``command``, with the course server of the folder ``server``."""
    public, api, port, own = free_ports(4)
    settings = server / "classroom.toml"
    before = settings.read_text() if settings.is_file() else 'courses = ["."]\n'
    settings.write_text(f'{before}port = {own}\nurl = "http://127.0.0.1:{public}"\n')
    homes = str(folder / "homes" / "{username}")
    text = HUB.format(
        public=public, hub=port, api=api, proxy=PROXY, pid=str(folder / "proxy.pid"), cookie=str(folder / "cookie"),
        homes=homes, command=command, admin=ADMIN, groups={name: {"users": users} for name, users in groups.items()},
    )  # fmt: skip
    lines = configuration(read_settings(server), server, "classroom")
    (folder / "jupyterhub_config.py").write_text(text + lines)
    with (folder / "hub.log").open("w") as log:
        program = [sys.executable, "-m", "jupyterhub", "-f", "jupyterhub_config.py"]
        with child(program, cwd=folder, stdout=log, stderr=log):
            wait_for(f"http://127.0.0.1:{public}/services/classroom/api/health", folder / "hub.log")
            yield Hub(f"http://127.0.0.1:{public}", homes)


def free_ports(number: int) -> list[int]:
    sockets = [socket.socket() for _ in range(number)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def wait_for(url: str, log: Path) -> None:
    for _ in range(1500):
        try:
            if httpx.get(url, timeout=5).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.2)
    raise AssertionError("\n".join(line for line in log.read_text().splitlines() if "JupyterHub" in line)[-4000:])
