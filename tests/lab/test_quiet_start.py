"""`studium lab` in a terminal: one line with the address, otherwise what goes wrong; at its end nothing is left."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.children import child

from .conftest import free_port

pytestmark = pytest.mark.xdist_group("jupyterlab")
ADDRESS = re.compile(r"JupyterLab is at (http://localhost:\d+)/lab/tree/START\.md\?token=(\w{20,})")


@pytest.fixture
def started(tmp_path: Path, all_described: Path) -> Iterator[tuple[subprocess.Popen[str], Callable[[], list[str]]]]:
    """`studium lab --no-browser`, and lines() → the lines that it has printed so far."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "topics").symlink_to(all_described)
    folders = {"HOME": tmp_path, "JUPYTER_CONFIG_DIR": tmp_path / "config", "STUDIUM_DATA": tmp_path / "data"}
    environment = {name: value for name, value in os.environ.items() if name != "JUPYTER_TOKEN"}
    environment |= {name: str(folder) for name, folder in folders.items()}
    command = [sys.executable, "-m", "studium", "lab", "--no-browser", "--course", "ws", "--port", str(free_port())]
    printed = tmp_path / "printed"
    with (
        printed.open("w") as output,
        child(
            command, cwd=tmp_path, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        ) as process,
    ):
        yield process, lambda: printed.read_text().splitlines()


def wait_for(pattern: re.Pattern[str], lines: Callable[[], list[str]]) -> re.Match[str]:
    """Return the first line of that form, within four minutes: topics may have to be read."""
    end = time.monotonic() + 240
    while time.monotonic() < end:
        if found := next(filter(None, map(pattern.fullmatch, lines())), None):
            return found
        time.sleep(0.1)
    raise AssertionError(lines())


def processes_of(folder: Path) -> set[int]:
    """Every process that was started with this home, in whatever session: the lab's server, its kernels, warm ones."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended while we looked, or is somebody else's
            if f"HOME={folder}".encode() in (process / "environ").read_bytes().split(b"\0"):
                found.add(int(process.name))
    return found


def nothing_is_left(folder: Path) -> bool:
    end = time.monotonic() + 60
    while processes_of(folder) and time.monotonic() < end:
        time.sleep(0.1)
    return not processes_of(folder)


def start_kernel(address: str, token: str, name: str) -> None:
    body, headers = json.dumps({"name": name}).encode(), {"Authorization": f"token {token}"}
    urllib.request.urlopen(urllib.request.Request(f"{address}/api/kernels", body, headers), timeout=60).close()


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="what lives on is looked up in /proc")
@pytest.mark.parametrize("name", ["SIGTERM", pytest.param("SIGHUP", marks=pytest.mark.heavy)])
def test_a_lab_prints_one_line_with_an_address_that_opens_and_ends_with_all_that_it_started(name, started, tmp_path):
    process, lines = started
    address, token = wait_for(ADDRESS, lines).groups()
    urllib.request.urlopen(f"{address}/lab?token={token}", timeout=60).close()
    counted, *rest = lines()
    assert re.fullmatch(r"\d+ new lessons in ws, 0 kept as they were", counted)
    assert len(rest) == 1
    start_kernel(address, token, "python3")
    assert len(processes_of(tmp_path)) > 1
    process.send_signal(getattr(signal, name))
    process.wait(60)
    assert nothing_is_left(tmp_path)


@pytest.mark.heavy
def test_a_lab_prints_the_errors_of_its_server_and_ends_also_after_a_kernel_that_never_started(started, tmp_path):
    process, lines = started
    address, token = wait_for(ADDRESS, lines).groups()
    with pytest.raises(urllib.error.HTTPError):
        start_kernel(address, token, "no-such-kernel")
    wait_for(re.compile(r"\[[EW] .*no-such-kernel.*"), lines)
    start_kernel(address, token, "python3")
    process.send_signal(signal.SIGTERM)
    process.wait(60)
    assert nothing_is_left(tmp_path)
