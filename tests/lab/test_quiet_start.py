"""`studium lab` in a terminal: one line with the address, and otherwise only what goes wrong."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.xdist_group("jupyterlab")
ADDRESS = re.compile(r"JupyterLab is at (http://localhost:\d+)/lab/tree/START\.md\?token=(\w{20,})")


@pytest.fixture
def started(tmp_path: Path, all_described: Path) -> Iterator[Callable[[], list[str]]]:
    """`studium lab --no-browser`, and started() → the lines that it has printed so far."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "topics").symlink_to(all_described)
    folders = {"HOME": tmp_path, "JUPYTER_CONFIG_DIR": tmp_path / "config", "STUDIUM_DATA": tmp_path / "data"}
    environment = {name: value for name, value in os.environ.items() if name != "JUPYTER_TOKEN"}
    command = [sys.executable, "-m", "studium", "lab", "--no-browser", "--course", "ws", "--port", "8931"]
    with (tmp_path / "printed").open("w") as printed:
        process = subprocess.Popen(
            command,
            cwd=tmp_path,
            env=environment | {name: str(folder) for name, folder in folders.items()},
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    yield lambda: (tmp_path / "printed").read_text().splitlines()
    os.killpg(process.pid, signal.SIGTERM)
    process.wait()


def wait_for(pattern: re.Pattern[str], lines: Callable[[], list[str]]) -> re.Match[str]:
    """Return the first line of that form, within eight minutes: topics may have to be read."""
    for _ in range(2400):
        if found := next(filter(None, map(pattern.fullmatch, lines())), None):
            return found
        time.sleep(0.2)
    raise AssertionError(lines())


def test_the_terminal_shows_one_line_with_an_address_that_opens_and_the_errors_of_the_server(started):
    address, token = wait_for(ADDRESS, started).groups()
    urllib.request.urlopen(f"{address}/lab?token={token}", timeout=60).close()
    counted, *rest = started()
    assert re.fullmatch(r"\d+ new lessons in ws, 0 kept as they were", counted)
    assert len(rest) == 1
    body = b'{"name": "no-such-kernel"}'
    headers = {"Authorization": f"token {token}"}
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(urllib.request.Request(f"{address}/api/kernels", body, headers), timeout=60)
    wait_for(re.compile(r"\[[EW] .*no-such-kernel.*"), started)
