"""`studium lab` ends when it is told to, and leaves nothing behind: no server, no kernel, no warm process."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.xdist_group("jupyterlab"),
    pytest.mark.skipif(not Path("/proc").is_dir(), reason="what lives on is looked up in /proc"),
]

TOKEN = "for-tests-alone"


def session_members(session: int) -> set[int]:
    """The processes of a session, all that one process has started among them, but those that have ended."""
    members = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            state, _, _, belongs, *_ = (process / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it ended while we looked
            continue
        if int(belongs) == session and state != "Z":
            members.add(int(process.name))
    return members


def ask(address: str, path: str, body: object = None) -> object:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{address}/api/{path}", data, {"Authorization": f"token {TOKEN}"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def answers(address: str) -> bool:
    try:
        ask(address, "status")
    except OSError:
        return False
    return True


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_lab_that_is_told_to_end_takes_its_server_and_its_kernels_with_it(name, tmp_path, all_described):
    (tmp_path / "topics").symlink_to(all_described)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    folders = {name: str(tmp_path) for name in ("HOME", "JUPYTER_CONFIG_DIR", "STUDIUM_DATA")}
    command = [sys.executable, "-m", "studium", "lab", "--course", "workspace", "--no-browser", "--port", str(port)]
    lab = subprocess.Popen(
        command, cwd=tmp_path, env=os.environ | folders | {"JUPYTER_TOKEN": TOKEN}, start_new_session=True
    )
    try:
        while not answers(f"http://127.0.0.1:{port}"):
            assert lab.poll() is None
            time.sleep(0.2)
        ask(f"http://127.0.0.1:{port}", "kernels", {"name": "python3"})
        assert len(session_members(lab.pid)) > 1
        lab.send_signal(getattr(signal, name))
        lab.wait()
        end = time.monotonic() + 60
        while (left := session_members(lab.pid)) and time.monotonic() < end:
            time.sleep(0.2)
        assert left == set()
    finally:
        for process in session_members(lab.pid):
            os.kill(process, signal.SIGKILL)
