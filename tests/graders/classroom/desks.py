"""Somebody's own machine with nbgrader, whose exchange is the course server."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

STUDENT = """\
c = get_config()
c.CourseDirectory.course_id = "course101"
c.ExchangeFactory.list = "studium.classroom.exchange.ExchangeList"
c.ExchangeFactory.fetch_assignment = "studium.classroom.exchange.ExchangeFetchAssignment"
c.ExchangeFactory.submit = "studium.classroom.exchange.ExchangeSubmit"
c.ExchangeFactory.fetch_feedback = "studium.classroom.exchange.ExchangeFetchFeedback"
"""
STAFF = """\
c = get_config()
c.CourseDirectory.course_id = "course101"
c.ExchangeFactory.list = "studium_classroom.exchange.ExchangeList"
c.ExchangeFactory.collect = "studium_classroom.exchange.ExchangeCollect"
c.ExchangeFactory.release_assignment = "studium_classroom.exchange.ExchangeReleaseAssignment"
c.ExchangeFactory.release_feedback = "studium_classroom.exchange.ExchangeReleaseFeedback"
"""
LAB = """
import json, sys
from nbgrader.server_extensions.assignment_list.handlers import AssignmentList
lab = AssignmentList()
lab.root_dir = "."
print(json.dumps([getattr(lab, name)(*words) for name, *words in json.loads(sys.argv[1])]))
"""


@dataclass
class Desk:
    """Somebody's own machine: a folder, nbgrader's configuration in it, and a token for the course server."""

    folder: Path

    def run(self, *command: str, code: int = 0) -> str:
        """Run Python with these arguments and return what it said; it must end with ``code``."""
        own = {"HOME": str(self.folder), "STUDIUM_DATA": str(self.folder / "data"), "PYTHONWARNINGS": "ignore"}
        words = [sys.executable, *command]
        done = subprocess.run(
            words, cwd=self.folder, env=os.environ | own, capture_output=True, text=True, check=False, timeout=300
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def nbgrader(self, *words: str, code: int = 0) -> str:
        """Run a command of nbgrader's own."""
        return self.run("-m", "nbgrader", *words, code=code)

    def attempt(self, name: str) -> dict:
        """Return the newest attempt at an assignment, as `studium courses` has it."""
        views = json.loads(self.run("-m", "studium", "courses", "--json"))["assignments"]
        return next(view for view in views if view["name"] == name)["attempts"][-1]

    def lab(self, asked: list[list[str]]) -> list[dict]:
        """Ask the server's side of nbgrader's Assignment List for these things in turn, as JupyterLab does."""
        return json.loads(self.run("-c", LAB, json.dumps(asked)).splitlines()[-1])
