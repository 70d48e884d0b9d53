"""Each lesson, opened by `studium lab` in a real browser and run from top to bottom."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from studium.catalogue import load_catalogue

playwright = pytest.importorskip("playwright.sync_api")

TOKEN = "for-tests-alone"
SWITCHES = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
OURS = [entry.topic.slug for entry in load_catalogue().entries if entry.distribution == "studium"]

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("jupyterlab")]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`studium lab`, running on a fresh workspace at the smoke profile; gives its address."""
    folder, port = tmp_path_factory.mktemp("lab"), free_port()
    quiet = {"JUPYTER_TOKEN": TOKEN, "STUDIUM_PROFILE": "smoke", "HOME": str(folder), "JUPYTER_CONFIG_DIR": str(folder)}
    command = [sys.executable, "-m", "studium", "lab", "--course", "workspace", "--no-browser", "--port", str(port)]
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(
            command, cwd=folder, env=os.environ | quiet, stdout=log, stderr=log, start_new_session=True
        ) as server,
    ):
        try:
            wait_for(f"http://127.0.0.1:{port}/api/status?token={TOKEN}", folder / "log")
            yield f"http://127.0.0.1:{port}"
        finally:
            os.killpg(server.pid, signal.SIGTERM)


def wait_for(address: str, log: Path) -> None:
    for _ in range(300):
        try:
            urllib.request.urlopen(address, timeout=1).close()
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise AssertionError(log.read_text())


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    executable = shutil.which("chromium")
    if executable is None:
        pytest.skip("browser tests need chromium on the PATH")
    with playwright.sync_playwright() as driver:
        launched = driver.chromium.launch(executable_path=executable, args=SWITCHES)
        yield launched
        launched.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": 1300, "height": 900})
    context.set_default_timeout(60_000)
    foreign: list[str] = []
    context.on("request", lambda request: foreign.append(request.url) if is_foreign(request.url) else None)
    yield context.new_page()
    context.close()
    assert foreign == []


def is_foreign(url: str) -> bool:
    return not re.match(r"(https?|wss?)://127\.0\.0\.1[:/]|data:|blob:|about:", url)


def run_all(page: Any) -> None:
    """Run every cell and wait until none is running or waiting."""
    page.locator(".jp-NotebookPanel .jp-Notebook").wait_for()
    page.locator(".jp-Toolbar-kernelName", has_text="Python 3").wait_for()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    page.wait_for_function(
        """() => {
            const prompts = [...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')];
            return prompts.length > 0 && prompts.every((prompt) => /\\[\\d+\\]/.test(prompt.textContent));
        }""",
        timeout=180_000,
    )


def test_the_start_page_opens_first_and_links_to_each_lesson(lab, page):
    page.goto(f"{lab}/?token={TOKEN}")
    preview = page.locator(".jp-MarkdownViewer")
    preview.get_by_role("heading", name="Studium").wait_for()
    for topic in load_catalogue().topics:
        assert preview.get_by_role("link", name=topic.title, exact=True).count() == 1


@pytest.mark.parametrize("slug", OURS)
def test_a_lesson_runs_from_top_to_bottom_and_its_widget_answers_a_slider(lab, page, slug):
    page.goto(f"{lab}/lab/tree/{slug}.ipynb?token={TOKEN}&reset")
    run_all(page)
    assert page.locator("[data-mime-type='application/vnd.jupyter.stderr']").all_inner_texts() == []
    assert move_first_slider(page)


def move_first_slider(page: Any) -> bool:
    """Move the first slider of the lesson by one step, as a drag does; tell whether the widget looks different then."""
    widget = page.locator(".jp-OutputArea-output", has=page.locator("input[type=range]")).first
    slider = widget.locator("input[type=range]").first
    slider.scroll_into_view_if_needed()
    before = widget.screenshot(animations="disabled")
    page.evaluate(MOVE, slider.element_handle())
    return bool(widget.screenshot(animations="disabled") != before)


# Moves a slider by one step and waits for the frame in which the widget has drawn.
MOVE = """(slider) => new Promise((done) => {
    slider.value === slider.max ? slider.stepDown() : slider.stepUp();
    slider.dispatchEvent(new Event('input', {bubbles: true}));
    requestAnimationFrame(() => requestAnimationFrame(done));
})"""
