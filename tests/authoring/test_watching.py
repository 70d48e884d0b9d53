"""What is checked again after a save, what the browser sees, and that a round ends the one before it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request

import pytest
from studium.authoring.changes import changed_exercises, touched_checks
from studium.authoring.findings import CheckResult
from studium.authoring.lesson_process import Event
from studium.authoring.preview import Preview, preview_page
from studium.authoring.runner import OWN_CHECKS
from studium.authoring.subject import open_subject
from studium.authoring.watching import Watcher

from tests.authoring.conftest import PACKAGE, SAMPLE, SMOKE
from tests.children import child

SOURCE = (SAMPLE / PACKAGE / "exercises.py").read_text("utf-8")
PLUGGED = {"widgets", "handouts", "tests run apart"}


def test_every_check_hangs_on_some_file_and_every_name_is_one_of_a_check():
    files = ("lesson.py", "exercises.py", "reference.py", "experiment.py", "__init__.py", "test_it.py", "a.js", "a.py")
    assert touched_checks(files) == {check.name for check in OWN_CHECKS} | PLUGGED


def test_a_file_touches_what_hangs_on_it():
    for file, check, touched in [
        ("lesson.py", "spelling", True),
        ("lesson.py", "mutants", False),
        ("exercises.py", "mutants", True),
        ("temperature.js", "widgets", True),
        ("notes.txt", "spelling", False),
    ]:
        assert (check in touched_checks([file])) is touched


def test_a_change_belongs_to_its_exercise():
    for old, new, names in [
        ("y[n] += gain", "y[n] -= gain", {"echo"}),
        ("whatever the delay and the gain", "whatever the delay", {"echo"}),
        ("n is a multiple of delay there", "n is one", {"response"}),
        ("You let every sample fade", "You let it fade", {"response"}),
        ("import torch", "import math", None),
        ("import torch", "import", None),
        ("# nothing of this", "", set()),
    ]:
        assert changed_exercises(SOURCE, SOURCE.replace(old, new)) == names


def get(address: str, **headers: str):
    return urllib.request.urlopen(urllib.request.Request(address, headers=headers), timeout=10)


@pytest.fixture
def preview():
    preview = Preview()
    yield preview
    preview.close()


def test_the_preview_shows_the_lesson_and_then_what_is_new(preview):
    preview.show("<body>First</body>")
    with get(preview.address) as page, get(f"{preview.address}events") as events:
        assert "<body>First" in page.read().decode()
        preview.show("<body>Second</body>")
        preview.show("<body>Second</body>")  # no news
        preview.tell([CheckResult("a", True, "fine"), CheckResult("b", False, "not </script> fine")])
        lines = [events.readline() for _ in range(4)]
    news = [json.loads(line.removeprefix(b"data: ")) for line in lines if line.strip()]
    assert news[0] == {"changed": True}
    assert [check["name"] for check in news[1]["checks"]] == ["b", "a"]
    with get(preview.address) as page:
        text = page.read().decode()
    assert "Second" in text
    assert "not <\\/script> fine" in text


def test_the_preview_has_formulas_and_what_the_lesson_showed(preview):
    with open_subject(str(SAMPLE), SMOKE) as subject:
        cell = next(cell for cell in subject.lesson.cells if "two_views(" in cell.source)
        said = {"output_type": "stream", "name": "stdout", "text": "largest difference: 4e-15"}
        preview.show(preview_page(subject.topic, subject.lesson, [Event("lesson", cell.id, outputs=[said])], "smoke"))
    with get(preview.address) as page:
        text = page.read().decode()
    assert "<math" in text
    assert "largest difference: 4e-15" in text
    assert "connect-src &#39;self&#39;" in text
    for name in re.findall(r'(?:href|src)="(assets/[^"]+)"', text):
        assert get(preview.address + name).read()


def test_the_preview_answers_to_this_machine_alone(preview):
    with pytest.raises(urllib.error.HTTPError, match="403"):
        get(preview.address, Host="elsewhere.example:80")
    with pytest.raises(urllib.error.HTTPError, match="404"):
        get(f"{preview.address}other")


def test_ctrl_c_ends_a_watch_whose_checks_are_running_without_a_traceback_and_no_folder_stays(tmp_path):
    shutil.copytree(SAMPLE, tmp_path / "topic")
    command = [sys.executable, "-m", "studium", "topic", "watch", str(tmp_path / "topic"), "--no-browser"]
    (tmp_path / "t").mkdir()
    own = os.environ | {"TMPDIR": str(tmp_path / "t")}
    with child(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=own) as watching:
        next(line for line in watching.stdout if "imports" in line)  # the first check is over, others are running
        os.killpg(watching.pid, signal.SIGINT)  # as a terminal does
        _, said = watching.communicate(timeout=60)
    assert (watching.returncode, said) == (0, "")
    assert list((tmp_path / "t").iterdir()) == []


@pytest.mark.heavy
def test_a_save_is_checked_again_and_ends_the_round_before(tmp_path):
    shutil.copytree(SAMPLE, tmp_path / "topic")
    folder, told = tmp_path / "topic" / PACKAGE, []
    watcher = Watcher(str(tmp_path / "topic"), folder, "smoke", told.append)
    try:
        assert watcher.wait(300)
        assert [result for result in watcher.results.values() if not result.passed] == []
        exercises, lesson = folder / "exercises.py", folder / "lesson.py"
        exercises.write_text(SOURCE.replace("    y = list(x)\n", "    y = list(x)\n    print(len(y))\n", 1), "utf-8")
        assert watcher.changed({exercises})
        lesson.write_text(lesson.read_text("utf-8").replace("Clap once", "Clap teh"), "utf-8")
        watcher.changed({lesson})  # the round before is not over: what it has not done is done in this one
        assert watcher.wait(300)
        failing = {name for name, result in watcher.results.items() if not result.passed}
        assert failing == {"spelling", "test cells", "mutants"}  # nothing notices that the print is left out
        assert "Clap teh" in next(event.page for event in reversed(told) if event.page)
    finally:
        watcher.close()
