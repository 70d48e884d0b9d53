"""How long a warm check and opening a lesson take, and what the extension adds to a server's start: judges nothing."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

import pytest
import torch
from nbformat.v4 import new_code_cell, new_notebook
from studium.catalogue.catalogue import load_catalogue
from studium.desk.clean_check import Terms
from studium.desk.jobs import Job, Jobs
from studium.desk.lesson_file import LessonFile
from studium.desk.zygote import Zygote
from studium.exercises.checking import check
from studium.notebooks.editions import compile_solution
from studium.notebooks.files import read_notebook, write_notebook

from ..lab.conftest import Lab

ROUNDS = 15


@pytest.fixture
def training():
    """A process that keeps a core busy, as a kernel that trains."""
    code = "import torch\ntorch.set_num_threads(1)\nx = torch.randn(500, 500)\nwhile True: x = torch.tanh(x @ x / 500)"
    with subprocess.Popen([sys.executable, "-c", code]) as process:
        yield
        process.kill()


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "training"])
def test_a_warm_check(busy, request, store, tmp_path):
    if busy:
        request.getfixturevalue("training")
    catalogue = load_catalogue()
    exercise = catalogue["lora"].exercise("merge")
    write_notebook(compile_solution(catalogue["lora"], catalogue.manager), tmp_path / "lora.ipynb")
    zygote, jobs = Zygote(), Jobs()
    times = [
        _round_trip(jobs, LessonFile(tmp_path / "lora.ipynb", catalogue, store), zygote) for _ in range(ROUNDS + 1)
    ]
    jobs.close()
    zygote.close()
    torch.set_num_threads(1)
    start = time.perf_counter()
    check("lora", exercise, exercise.solution)
    own = time.perf_counter() - start
    first, *warm = times
    print(
        f"\nlora merge, {'a kernel trains' if busy else 'nothing else runs'}: first {first:.2f} s, warm median "
        f"{statistics.median(warm):.3f} s, longest {max(warm):.3f} s of {ROUNDS}; the tests themselves {own:.3f} s"
    )


def _round_trip(jobs: Jobs, lesson: LessonFile, zygote: Zygote) -> float:
    start = time.perf_counter()
    job = jobs.add(Job("lora.ipynb", "lora", "merge", 60, lambda _: lesson.check("merge", Terms(launch=zygote.launch))))
    while (state := jobs.get(job.id)).state != "done":
        assert state.state in ("queued", "running"), state.message
        time.sleep(0.002)
    return time.perf_counter() - start


START = """
import time, sys
from jupyter_server.serverapp import ServerApp
app = ServerApp()
start = time.perf_counter()
app.initialize(["--no-browser", "--allow-root", "--port=0",
                "--ServerApp.jpserver_extensions={'studium.server': %s, 'jupyterlab': True, 'notebook': True}"])
print(time.perf_counter() - start)
"""


def test_the_start_of_a_server(tmp_path, monkeypatch):
    monkeypatch.setenv("JUPYTER_NO_CONFIG", "1")
    times: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(5):
        for ours in (True, False):
            done = subprocess.run([sys.executable, "-c", START % ours], capture_output=True, text=True, cwd=tmp_path)
            times[ours].append(float(done.stdout.strip().splitlines()[-1]))
    with_it, without = (statistics.median(times[ours]) for ours in (True, False))
    print(f"\nserver start: {without:.3f} s without the extension, {with_it:.3f} s with it: {with_it - without:+.3f} s")


@pytest.fixture
def lab(tmp_path):
    """`studium lab` with a notebook of one empty cell beside the lessons."""
    lab = Lab(tmp_path)
    lab.start()
    metadata = read_notebook(lab.folder / "lora.ipynb").metadata  # with its kernel, or Jupyter asks for one
    metadata = {"kernelspec": metadata["kernelspec"]}
    write_notebook(new_notebook(cells=[new_code_cell()], metadata=metadata), lab.folder / "empty.ipynb")
    yield lab
    lab.stop()


@pytest.mark.parametrize("slug", ["lora", "ddpm", "encoder-only", "rope"])
@pytest.mark.parametrize("where", ["lab/tree", "notebooks"])
def test_opening_a_lesson(lab, chromium, where, slug):
    times: dict[str, list[float]] = {"empty": [], slug: []}
    for _ in range(5):
        for name, found in times.items():
            context = chromium.new_context(viewport={"width": 1440, "height": 900})
            found.append(_opened(context.new_page(), lab.url(f"{where}/{name}.ipynb"), name == "empty"))
            context.close()
    empty, lesson = (statistics.median(found) for found in times.values())
    print(
        f"\n{where}: an empty notebook takes a key after {empty:.2f} s, the first widget of {slug} after {lesson:.2f} s"
    )


SLIDER, CELL = ".jp-OutputArea-output input[type=range]", ".jp-CodeCell .cm-content"
# The page keeps the time itself: Playwright's questions wait behind whatever else the page does by then.
CLOCK = """
window.read = (css) => document.querySelector(css)?.value ?? document.querySelector(css)?.textContent;
window.keyFor = (css) => {
  const target = document.querySelector(css);
  target?.focus();
  window.before ??= read(css);
  if (!target || document.activeElement !== target) return "";
  return target.type !== "range" ? "1" : target.value === target.max ? "ArrowLeft" : "ArrowRight";
};
addEventListener("input", () => requestAnimationFrame((now) => (window.answered = now)), true);
"""


def _opened(page, address: str, empty: bool) -> float:
    """Seconds from going to a notebook to the frame in which its first cell, or first widget, has answered a key."""
    css = CELL if empty else SLIDER
    page.add_init_script(CLOCK)
    page.goto(address)
    while True:
        page.keyboard.press(page.wait_for_function("(css) => keyFor(css)", arg=css).json_value())
        if page.evaluate("(css) => read(css) !== window.before", css):  # what comes too early is lost
            break
    page.wait_for_function("window.answered")
    return page.evaluate("window.answered") / 1000
