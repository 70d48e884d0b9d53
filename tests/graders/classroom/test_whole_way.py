"""The whole way with the real server, as a process of its own: invite, join, fetch, check, submit, mark, feedback."""

import json
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from studium_classroom.classroom import Classroom

from tests.children import child

WRONG = "def total(values):\n    return sum(abs(value) for value in values)\n"
RIGHT = "def total(values):\n    return sum(values)\n"


@contextmanager
def server(course: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """``studium classroom serve`` and its address."""
    command = [sys.executable, "-m", "studium", "classroom", "serve", "--course", str(course), "--port", "0"]
    with child(command, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert select.select([process.stdout], [], [], 240)[0], "the server does not start"
        said = process.stdout.readline()
        assert said.startswith("serving course101 at http://"), said
        yield process, said.split(" at ")[1].split(";")[0].rstrip("/")


def wait_for_mark(course: Path, assignment: str, student: str, attempt: int) -> None:
    """Wait until the server has marked an attempt. Its database is asked, which takes no process for each question."""
    opened = Classroom([course], course / ".studium" / "classroom")
    try:
        for _ in range(3000):
            if opened.submissions.attempts("course101")[assignment, student][attempt - 1].state == "graded":
                return
            time.sleep(0.1)
        raise AssertionError(f"attempt {attempt} of {student} at {assignment} has no mark")
    finally:
        opened.database.close()


def answer(path: Path, source: str) -> None:
    notebook = json.loads(path.read_text())
    for cell in notebook["cells"]:
        if (own := cell["metadata"].get("studium", {})).get("role") == "exercise" and own["exercise"] == "total":
            cell["source"] = source
    path.write_text(json.dumps(notebook))


@pytest.mark.xdist_group("classroom")
def test_a_student_joins_fetches_checks_submits_and_has_mark_and_feedback(course, studium, tmp_path, monkeypatch):
    def said(*words: str, code: int = 0) -> dict:
        found, out, err = studium(*words, "--json")
        assert found == code, out + err
        return json.loads(out)

    monkeypatch.chdir(tmp_path)
    with server(course) as (process, url):
        link = said("classroom", "invite", "ada", "--course", str(course))["ada"]
        assert link.startswith(f"{url}/join#")  # the port that the server was given
        said("courses", "--join", link)
        assert said("fetch", "ps1")["written"] == ["counting.ipynb"]
        notebook = tmp_path / "ps1" / "counting.ipynb"
        assert said("fetch", "ps1")["kept"] == ["counting.ipynb"]

        answer(notebook, WRONG)
        (found,) = said("check", str(notebook), "--on-server", "--exercise", "total", code=1)["exercises"]
        assert (found["outcome"], found["hidden_passed"], found["hidden_total"]) == ("wrong", 0, 1)
        assert found["mistake"] == "You added the sizes of the numbers, whatever their signs."
        assert found["tests"] == [{"name": "is zero for no values", "passed": True, "message": ""}]
        assert "the hidden sum" not in json.dumps(found)

        assert said("submit", str(notebook))["attempt"] == 1
        wait_for_mark(course, "ps1", "ada", 1)
        (view,) = said("courses")["assignments"]
        (first,) = view["attempts"]
        assert (first["score"], first["max_score"], first["feedback"]) == (1.0, 5.0, ["counting"])

        process.kill()  # what the server had said is kept
        process.wait(60)
    submitted = said("classroom", "status", "ps1", "--course", str(course))["students"]
    assert [(row["student"], row["state"], row["score"]) for row in submitted] == [("ada", "graded", 1.0)]
    found = {one["exercise"]: (one["checks"], one["state"]) for one in submitted[0]["exercises"]}
    assert found == {"counting.total": (1, "trying"), "counting.distance": (0, "untouched")}
    assert [one["mistake"] for one in submitted[0]["exercises"]] == ["", "counting.total:added-the-sizes"]
    assert (course / "submitted" / "ada" / "ps1" / "timestamp.txt").read_text().endswith("UTC")
    assert (course / "feedback" / "ada" / "ps1" / "counting.html").is_file()
