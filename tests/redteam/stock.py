"""What stock ``nbgrader autograde`` gives for each case. It takes long: the result is committed in ``stock.json``.

``python -m tests.redteam.stock [ID…]`` runs the cases again, each in a course of its own, in a bubblewrap container
without network, with a home of its own and limits on time and memory. What would still harm the machine is not run.
"""

import argparse
import importlib.metadata
import json
import shutil
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path
from typing import Any

from nbgrader.api import Gradebook, MissingEntry

from .classroom import COURSES, PLAIN_CONFIG, Classroom, hand_in, make_course
from .corpus import HERE, Case, cases

RESULT = HERE / "stock.json"
SECONDS = 120
CONTAINER = ["bwrap", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp"]
CONTAINER += [
    "--tmpfs",
    "/dev/shm",
    "--unshare-pid",
    "--unshare-net",
    "--unshare-ipc",
    "--die-with-parent",
    "--new-session",
]


def main() -> None:
    """Run the cases that were named, or all, and write what came after each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ids", nargs="*")
    chosen = parser.parse_args().ids
    found = read()
    with tempfile.TemporaryDirectory(prefix="redteam-stock-") as made:
        rooms = {name: make_course(Path(made) / name, name) for name in COURSES}
        for case in cases():
            if not chosen or case.id in chosen:
                found["marks"][case.id] = marks = grade(rooms[case.course], case, Path(made))
                print(f"{case.kind}/{case.id}", marks.get("note", sum(marks.get("tests", {}).values())), flush=True)
                found |= {"nbgrader": importlib.metadata.version("nbgrader"), "date": str(date.today())}
                RESULT.write_text(json.dumps(found, indent=1, sort_keys=True, ensure_ascii=False) + "\n", "utf-8")


def read() -> dict[str, Any]:
    """Give what is in ``stock.json``: marks by case, each {"tests": {grade id: points}} or {"note": why not}."""
    return json.loads(RESULT.read_text("utf-8")) if RESULT.exists() else {"marks": {}}


def grade(room: Classroom, case: Case, scratch: Path) -> dict[str, Any]:
    """Give the points of each test that stock nbgrader records for a case."""
    if case.stock:
        return {"note": case.stock}
    root = scratch / "case" / "course"
    shutil.copytree(room.root, root)
    (root / "nbgrader_config.py").write_text(PLAIN_CONFIG)  # ours has nbgrader grade with our engine
    outside = scratch / "case" / "outside"
    outside.mkdir()
    secret = root / "secret.txt"
    secret.write_text("TOKEN-4711\n")
    places = {"OUTSIDE": str(outside), "PORT": "9", "TOKEN": "TOKEN-4711", "SECRET": str(secret), "SITE": "/"}
    try:
        own = Classroom(root, room.name, room.exercises, room.tests)
        hand_in(own, case, places)
        note = _autograde(root, case, scratch / "case")
        return _recorded(own, case) or {"note": note or "no marks were recorded"}
    finally:
        shutil.rmtree(scratch / "case", ignore_errors=True)


def _autograde(root: Path, case: Case, writable: Path) -> str:
    home = writable / "home"
    home.mkdir()
    command = ["prlimit", f"--data={6 << 30}", "--fsize=1000000000", *CONTAINER, "--bind", str(writable), str(writable)]
    command += ["--chdir", str(root), "--setenv", "HOME", str(home), "--setenv", "PYTHONWARNINGS", "ignore"]
    command += [sys.executable, "-m", "nbgrader", "autograde", case.course, "--Execute.timeout=60"]
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return f"not finished after {SECONDS} s"
    return "" if done.returncode == 0 else "nbgrader stopped with an error"


def _recorded(room: Classroom, case: Case) -> dict[str, Any]:
    try:
        with Gradebook(f"sqlite:///{room.root / 'gradebook.db'}") as book:
            submission = book.find_submission(room.name, case.name)
            grades = {g.name: float(g.score) for n in submission.notebooks for g in n.grades if g.name in room.tests}
    except MissingEntry:
        return {}
    return {"tests": dict(sorted(grades.items()))} if grades else {}


if __name__ == "__main__":
    main()
