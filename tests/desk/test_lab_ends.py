"""`studium lab` ends when it is told to, and leaves nothing behind: no server, no kernel, no warm process."""

from __future__ import annotations

import contextlib
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


def processes_of(folder: Path) -> set[int]:
    """Every process that was started with this home, in whatever session: the lab's server, its kernels, warm ones."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended while we looked, or is somebody else's
            if f"HOME={folder}".encode() in (process / "environ").read_bytes().split(b"\0"):
                found.add(int(process.name))
    return found


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
        assert len(processes_of(tmp_path)) > 1
        lab.send_signal(getattr(signal, name))
        lab.wait()
        end = time.monotonic() + 60
        while (left := processes_of(tmp_path)) and time.monotonic() < end:
            time.sleep(0.2)
        assert left == set()
    finally:
        for process in processes_of(tmp_path):
            os.kill(process, signal.SIGKILL)
