"""Install the wheels of a folder in a new environment, step by step, and try what each step promises.

    python tests/try_wheels.py dist

Run by ``make test-wheel``. It needs the network, and some gigabytes if pip chooses PyTorch's CUDA build; PIP_CONSTRAINT
and the like are honoured. What is tried runs far from the checkout, so only what the wheels hold can be found.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Sequence
from pathlib import Path

TOPIC = Path(__file__).parent / "graders" / "classroom_topic"  # which needs no torch
PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "classroom-topic"
version = "1"
dependencies = ["studium"]
[project.entry-points.studium]
counting = "classroom_topic"
"""
WRONG = "def merge(weight, a, b, alpha):\n    return weight + alpha * b @ a\n"
NAMED = "You added alpha times B A"


class Machine:
    """A new environment, an empty folder to work in, and a home of its own."""

    def __init__(self, folder: Path) -> None:
        venv.create(folder / "environment", with_pip=True)
        self.python = next((folder / "environment").glob("[bS]*/python*"))
        self.place = folder / "place"
        self.place.mkdir()
        left = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
        self.environment = left | {"STUDIUM_DATA": str(folder / "data"), "STUDIUM_PROFILE": "smoke"}

    def install(self, *wanted: str) -> None:
        self.run("-m", "pip", "install", "--quiet", *wanted)

    def studium(self, *arguments: str, codes: Sequence[int] = (0,)) -> str:
        return self.run("-m", "studium", *arguments, codes=codes)

    def run(self, *arguments: str, codes: Sequence[int] = (0,)) -> str:
        command = [str(self.python), *arguments]
        done = subprocess.run(
            command, cwd=self.place, env=self.environment, capture_output=True, text=True, check=False
        )
        if done.returncode not in codes:
            sys.exit(f"{' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
        return done.stdout + done.stderr


def answer(notebook: Path, exercise: str, text: str) -> None:
    """Write an answer into a notebook's cell."""
    book = json.loads(notebook.read_text("utf-8"))
    (cell,) = (
        cell
        for cell in book["cells"]
        if cell["cell_type"] == "code"
        and f"def {exercise}(" in "".join(cell["source"])
        and "NotImplementedError" in "".join(cell["source"])
    )
    cell["source"] = text
    notebook.write_text(json.dumps(book), "utf-8")


def host(machine: Machine, published: Path) -> None:
    """Studium alone: light, without our topics, and ready for those of others."""
    project = machine.place / "project"
    shutil.copytree(TOPIC, project / "classroom_topic")
    (project / "pyproject.toml").write_text(PROJECT)
    machine.install(str(published), str(project))
    machine.run("-c", "import importlib.util as u; assert not u.find_spec('torch')")
    listed = json.loads(machine.studium("topics", "--json"))
    assert ([topic["slug"] for topic in listed["topics"]], listed["problems"]) == (["counting"], []), listed
    machine.studium("doctor")
    machine.studium("lab", "--course", "lessons", "--no-start")
    assert "Not attempted yet: total" in machine.studium("check", "lessons/counting.ipynb")
    assert "needs" in machine.studium("grade", "ps1", codes=[1, 2])


def learner(machine: Machine, published: Path) -> None:
    """A student of a class: lessons and visible tests, and no answers anywhere."""
    machine.install(f"{published}[topics]")
    listed = json.loads(machine.studium("topics", "--json"))
    assert len(listed["topics"]) > 20, listed
    assert listed["problems"] == []
    site = Path(machine.run("-c", "import studium_topics as s; print(s.__path__[0])").strip())
    assert not [*site.glob("*/reference.py"), *site.glob("*/test_*.py"), *site.parent.glob("studium_keys")]
    machine.studium("lab", "--course", "lessons", "--no-start")
    answer(machine.place / "lessons" / "lora.ipynb", "merge", WRONG)
    told = machine.studium("check", "lessons/lora.ipynb", "--exercise", "merge", codes=[1])
    assert "Not right yet: merge" in told, told
    assert NAMED not in told, told


def alone(machine: Machine, keys: Path) -> None:
    """Somebody who learns on their own: the same lesson, and the mistake has a name."""
    machine.install("--find-links", str(keys.parent), str(keys))
    told = machine.studium("check", "lessons/lora.ipynb", "--exercise", "merge", codes=[1])
    assert NAMED in told, told


def instructor(machine: Machine, published: Path) -> None:
    """An assignment is made, handed in and graded."""
    machine.install(f"{published}[grade]")
    machine.studium("doctor")
    machine.studium("new", "course", "tried")
    course = machine.place / "tried"
    (course / "course.toml").write_text('id = "tried"\n[[assignments]]\nname = "ps1"\nexercises = ["lora.merge"]\n')
    machine.studium("assign", "ps1", "--course", "tried")
    handed_in = course / "submitted" / "ada" / "ps1"
    handed_in.mkdir(parents=True)
    (handed_in / "lora.ipynb").write_bytes((course / "release" / "ps1" / "lora.ipynb").read_bytes())
    answer(handed_in / "lora.ipynb", "merge", WRONG)
    told = machine.studium("grade", "ps1", "--course", "tried", "--trust-submissions", "--json")
    assert "ada" in told, told
    assert "scaled-by-alpha" in told or NAMED in told, told


def main(folder: Path) -> None:
    """Try the wheels in ``folder``."""
    (published,), (keys,) = folder.glob("studium-[0-9]*-py3-none-any.whl"), folder.glob("studium_keys-*.whl")
    with tempfile.TemporaryDirectory(prefix="studium-wheel-") as place:
        machine = Machine(Path(place))
        for step, wheel in ((host, published), (learner, published), (alone, keys), (instructor, published)):
            step(machine, wheel)
            print(f"ok  {step.__name__}: {step.__doc__}", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
