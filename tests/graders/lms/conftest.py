"""What the tests of archives share: a course that knows ada and bob, rosters of both systems, and the command."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("nbgrader")

from nbgrader.api import Gradebook, Student

CANVAS = "Student,ID,SIS User ID,SIS Login ID,Section,ps1 (4711)\nA,71,,ada,L,\nB,72,,bob,L,\n"
MOODLE = "Identifier,Full name,Email address,Grade\nParticipant 71,A,ada@x.example,\nParticipant 72,B,bob@x.example,\n"


@pytest.fixture
def course(tmp_path: Path) -> Path:
    root = tmp_path / "course"
    (root / "release" / "ps1").mkdir(parents=True)
    (root / "release" / "ps1" / "lora.ipynb").write_text("{}")
    (root / "nbgrader_config.py").write_text("c = get_config()\n")
    with Gradebook(f"sqlite:///{root / 'gradebook.db'}") as book:
        book.db.add_all(Student(id=name, email=f"{name}@x.example") for name in ("ada", "bob"))
        book.db.commit()
    (root / "canvas.csv").write_text(CANVAS)
    (root / "moodle.csv").write_text(MOODLE)
    return root


@pytest.fixture
def collect(course: Path, studium: Callable) -> Callable:
    """collect("canvas", {name: content}, …) → code, output and errors of the command."""

    def run(system: str, files: dict[str, str], *more: str, roster: bool = True) -> tuple[int, str, str]:
        with zipfile.ZipFile(course / "all.zip", "w", zipfile.ZIP_DEFLATED) as made:
            for name, content in files.items():
                made.writestr(name, content)
        roll = ["--roster", str(course / f"{system}.csv")] if roster else []
        return studium(
            "collect", "ps1", "--course", str(course), f"--from-{system}", str(course / "all.zip"), *roll, *more
        )

    return run


def submitted(course: Path) -> dict[str, str]:
    root = course / "submitted"
    return {str(path.relative_to(root)): path.read_text() for path in root.rglob("*") if path.is_file()}
