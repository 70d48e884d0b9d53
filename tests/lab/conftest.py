"""JupyterLab as a learner has it, on a fresh workspace, and a browser page: what all tests of this folder share."""

from __future__ import annotations

import json
import os
import re
import socket
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.children import child

from . import little_topics

TOKEN = "for-tests-alone"

STRANGER = {
    "strange_pictures-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: strange-pictures\nVersion: 1.0\n",
    "strange_pictures-1.0.dist-info/entry_points.txt": "[studium]\nstrange-pictures = strange_pictures\n",
    "strange_pictures/__init__.py": "",
    "strange_pictures/dial.py": '''
from studium_widgets import Widget
from traitlets import Int


class Dial(Widget):
    """A number."""

    _script = "dial.js"
    turn = Int(3, min=0, max=9).tag(sync=True)

    @property
    def alt(self):
        return f"A dial at {self.turn}."
''',
    "strange_pictures/dial.js": """
import { slider } from "studium_widgets/controls/slider.js";
import { widget } from "studium_widgets/controls/widget.js";

export default widget((ui) => {
  ui.controls(slider(ui, "turn", { label: "Turn", min: 0, max: 9 }));
  return () => ui.say(`The dial is at ${ui.get("turn")}.`);
});
""",
    "strange_pictures/broken.py": "raise RuntimeError('half installed')\n",
    "strange_pictures/broken.js": "export default {};\n",
}


def free_port() -> int:
    """Return a port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Lab:
    """`studium lab` at the smoke profile, with strangers' packages installed beside Studium."""

    def __init__(self, home: Path) -> None:
        self._port, self._running = free_port(), ExitStack()
        self.address, self.site, self.folder = f"http://127.0.0.1:{self._port}", home / "site", home / "workspace"
        self.data = home / "data"
        folders = {"HOME": home, "JUPYTER_CONFIG_DIR": home, "STUDIUM_DATA": self.data, "PYTHONPATH": self.site}
        quiet = {"JUPYTER_TOKEN": TOKEN, "STUDIUM_PROFILE": "smoke"}
        self._environment = os.environ | quiet | {name: str(folder) for name, folder in folders.items()}

    def url(self, path: str) -> str:
        """The address of a page, "lab/tree/x.ipynb" or "notebooks/x.ipynb", for a browser that has not been here."""
        return f"{self.address}/{path}?token={TOKEN}&reset"

    def ask(self, verb: str, path: str, body: Any = None) -> Any:
        """Return the desk's answer to a request: its JSON."""
        request = urllib.request.Request(
            f"{self.address}/studium/api/{path}",
            json.dumps(body).encode() if body is not None else None,
            {"Authorization": f"token {TOKEN}"},
            method=verb,
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        command = [sys.executable, "-m", "studium", "lab", "--course", str(self.folder), "--no-browser"]
        with (self.folder.parent / "log").open("a") as log:
            options: dict[str, Any] = {"env": self._environment, "stdout": log, "stderr": log}
            self._running.enter_context(child([*command, "--port", str(self._port)], **options))
        _wait_for(f"{self.address}/api/status?token={TOKEN}", self.folder.parent / "log")

    def stop(self) -> None:
        """End the server, and all that it started."""
        self._running.close()

    def restart(self) -> None:
        """Start it anew on the same workspace at the same address."""
        self.stop()
        self.start()

    def begin_again(self) -> None:
        """Start it anew without what a learner has done in the little topics."""
        self.stop()
        for path in self.data.glob("*"):
            if path.is_file():
                path.unlink()
        for slug in little_topics.TOPICS:
            (self.folder / f"{slug}.ipynb").unlink(missing_ok=True)
        little_topics.install(self.site)
        self.start()


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory, all_described: Path) -> Iterator[Lab]:
    """A running `studium lab` on a fresh workspace."""
    lab = Lab(tmp_path_factory.mktemp("lab"))
    lab.data.mkdir()
    (lab.data / "topics").symlink_to(all_described)
    for name, text in STRANGER.items():
        (lab.site / name).parent.mkdir(parents=True, exist_ok=True)
        (lab.site / name).write_text(text)
    little_topics.install(lab.site)
    anywhere = {"ServerApp": {"allow_remote_access": True}}  # under another name of this machine too, as on a hub
    (lab.folder.parent / "jupyter_server_config.json").write_text(json.dumps(anywhere))
    try:
        lab.start()
        yield lab
    finally:
        lab.stop()


@pytest.fixture(autouse=True)
def _as_at_first(request: pytest.FixtureRequest) -> None:
    """Let the second run of a test that failed find what the first one found."""
    if getattr(request.node, "execution_count", 1) > 1 and "lab" in request.fixturenames:
        request.getfixturevalue("lab").begin_again()


def _wait_for(address: str, log: Path) -> None:
    end = time.monotonic() + 300  # each lesson is read once
    while time.monotonic() < end:
        try:
            urllib.request.urlopen(address, timeout=5).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError(log.read_text())


@pytest.fixture
def new_page(request: pytest.FixtureRequest, chromium: Any) -> Iterator[Callable[[], Any]]:
    """new_page() → a page of a browser that was never here; the test fails if one asks for anything outside."""
    failed = request.session.testsfailed
    foreign: list[str] = []
    contexts: list[Any] = []

    def new_page() -> Any:
        context = chromium.new_context(viewport={"width": 1300, "height": 900})
        contexts.append(context)
        context.set_default_timeout(60_000)
        context.on("request", lambda request: foreign.append(request.url) if _is_foreign(request.url) else None)
        return context.new_page()

    yield new_page
    for context in contexts:
        if request.session.testsfailed > failed:  # whoever reads the failure sees what the learner would have seen
            print(*(f"{page.url}\n{page.locator('body').inner_text()}" for page in context.pages), sep="\n\n")
        context.close()
    assert foreign == []


@pytest.fixture
def page(new_page: Callable[[], Any]) -> Any:
    """A page of one browser."""
    return new_page()


def _is_foreign(url: str) -> bool:
    return not re.match(r"(https?|wss?)://(127\.0\.0\.1|[\w.]+\.localhost)[:/]|data:|blob:|about:", url)


def wait_until(page: Any, true: Callable[[], Any]) -> None:
    """Wait, for a minute at most, until something is true."""
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end, "it did not become true"
        page.wait_for_timeout(100)


def save(page: Any, notebook: Path, *texts: str) -> None:
    """Save until the texts are on the disk: JupyterLab takes no request to save while it saves."""

    def saved() -> bool:
        page.keyboard.press("ControlOrMeta+S")
        page.wait_for_timeout(400)
        kept = notebook.read_text("utf-8")
        return all(text in kept for text in texts)

    wait_until(page, saved)


def start_all(page: Any) -> None:
    """Run every cell, once the kernel is idle."""
    page.locator(".jp-NotebookPanel .jp-Notebook").wait_for()
    page.locator(".jp-Toolbar-kernelName", has_text="Python 3").wait_for()
    page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").wait_for()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()


def run_all(page: Any) -> None:
    """Run every cell and wait until none is running or waiting."""
    start_all(page)
    page.wait_for_function(
        """() => {
            const prompts = [...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')];
            return prompts.length > 0 && prompts.every((prompt) => /\\[\\d+\\]/.test(prompt.textContent));
        }""",
        timeout=180_000,
    )
