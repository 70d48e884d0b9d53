"""How long a torch class takes, with ours and with stock nbgrader in the same run: prints, judges nothing of time."""

from __future__ import annotations

import itertools
import json
import re
import resource
import shutil
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import jupytext
import nbformat
import psutil
import pytest

pytest.importorskip("nbgrader")

from studium.catalogue.catalogue import Catalogue, load_catalogue
from studium.exercises.definitions import definition
from studium.exercises.model import Exercise
from studium.exercises.sources import solved
from studium_graders.assignments.building import build_assignment

HERE = Path(__file__).parent
TOPIC, SAMPLE = "lora", 6
LESSONS = {
    "three exercises of lora": f'exercises = ["{TOPIC}.merge", "{TOPIC}.svd_lora", "{TOPIC}.init_lora"]',
    "a whole lora lesson": f'topics = ["{TOPIC}"]',
}
PLAIN, DATA = "three small torch exercises of a plain nbgrader course", "a plain course with pandas and a picture"
PLAIN_COURSES = {PLAIN: "plain_course", DATA: "data_course"}
CLASSES = [(PLAIN, 60), (PLAIN, 300), (DATA, 60), *((lesson, 60) for lesson in LESSONS)]
FLAGS = {"schema_version": 3, "grade": False, "solution": False, "locked": True, "task": False}
SENT = "2026-03-01 20:00:00 UTC"
Answers = Iterator[dict[str, str]]


@dataclass
class Classroom:
    """A course: ``build`` makes ps1 in a folder that has its sources; ``answers`` are those of a class, without end."""

    root: Path
    notebook: str
    build: Callable[[Path], object]
    answers: Answers
    students: int = 0


def own_version(exercise: Exercise, function) -> str:
    return definition(function).replace("def _(", f"def {exercise.id}(", 1)


def mixture(exercises: dict[str, tuple[str, list[str], list[str]]]) -> Answers:
    """Endless answers of a class: right, right in another way, one or two mistakes, or left as they were.

    Each exercise has the course's solution, other right answers, and wrong ones.
    """
    for number in itertools.count():
        answers = {}
        for place, (name, (solution, right, wrong)) in enumerate(exercises.items()):
            kind = (number + place * 3) % 10
            if kind < 5 or number % 6 == 0:
                answers[name] = solution
            elif kind < 7 and right:
                answers[name] = right[number % len(right)]
            elif kind < 9 and wrong:
                answers[name] = wrong[number % len(wrong)]
        yield answers


def of_topic(exercise: Exercise) -> tuple[str, list[str], list[str]]:
    right = [own_version(exercise, function) for function in exercise.alternatives]
    return solved(exercise), right, [own_version(exercise, mistake.function) for mistake in exercise.misconceptions]


def plain_course(folder: Path, root: Path, nbgrader: Callable[..., str]) -> Classroom:
    """The course of a folder here, which knows nothing of Studium."""
    source = jupytext.read(folder / "ps1.py")
    marked = {cell.metadata["grade_id"]: cell for cell in source.cells if "grade_id" in cell.metadata}
    for cell in marked.values():
        cell.metadata.pop("lines_to_next_cell", None)  # jupytext's own
        cell.metadata = {"nbgrader": FLAGS | dict(cell.metadata)}
    answers = tomllib.loads((folder / "answers.toml").read_text("utf-8"))
    solutions = {name: re.sub(r" *### (BEGIN|END) SOLUTION\n?", "", marked[name].source) for name in answers}
    (root / "source" / "ps1").mkdir(parents=True)
    nbformat.write(source, root / "source" / "ps1" / "ps1.ipynb")
    (root / "nbgrader_config.py").write_text('c = get_config()\nc.CourseDirectory.course_id = "plain"\n')
    kinds = {name: (solutions[name], found["right"], found["wrong"]) for name, found in answers.items()}
    return Classroom(root, "ps1", lambda root: nbgrader(root, "generate_assignment", "ps1"), mixture(kinds))


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load_catalogue()


@pytest.fixture(scope="module", params=CLASSES, ids=str)
def course(request: pytest.FixtureRequest, catalogue: Catalogue, make_course, submit, nbgrader, tmp_path_factory):
    lesson, students = request.param
    print(f"\n{lesson}:", end=" ")
    if lesson in PLAIN_COURSES:
        made = plain_course(HERE / PLAIN_COURSES[lesson], tmp_path_factory.mktemp("plain"), nbgrader)
    else:
        root = make_course(f'[[assignments]]\nname = "ps1"\ndue = 2026-03-01T23:59:00\n{LESSONS[lesson]}\n')
        answers = mixture({name: of_topic(exercise) for name, exercise in catalogue[TOPIC].exercises.items()})
        made = Classroom(root, TOPIC, lambda root: build_assignment(root, "ps1", catalogue), answers)
    made.build(made.root)
    made.students = students
    for number in range(students):
        student, answers = f"s{number:03}", next(made.answers)
        if number % 12 == 5:
            student_before = made.root / "submitted" / f"s{number - 1:03}"
            folder = Path(shutil.copytree(student_before, made.root / "submitted" / student)) / "ps1"
        else:
            folder = submit(made.root, student, {made.notebook: {} if number % 15 == 7 else answers}, SENT)
            sign(folder / f"{made.notebook}.ipynb", student, set() if number % 15 == 7 else set(answers))
        if number % 20 == 19:
            damage(folder / f"{made.notebook}.ipynb", number)
    return made


def sign(path: Path, student: str, names: set[str] | None = None) -> None:
    """Write a student's name into answers, of all exercises or those with ``names``: people do not write alike."""
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        marks, own = cell.metadata.get("nbgrader", {}), cell.metadata.get("studium", {})
        name = own.get("exercise") or marks.get("grade_id", "")
        if cell.cell_type == "code" and marks.get("solution") and (names is None or name in names):
            cell.source += f"\n\n\n# {student}\n"
    nbformat.write(notebook, path)


def all_unlike(course: Path, folder: Path) -> Path:
    """Give a copy of a course in which no two submissions are alike, but for those that cannot be read."""
    unlike = Path(shutil.copytree(course, folder))
    for path in (unlike / "submitted").glob("*/*/*.ipynb"):
        with suppress(nbformat.reader.NotJSONError):
            sign(path, path.parent.parent.name)
    return unlike


def damage(path: Path, number: int) -> None:
    text = path.read_text("utf-8")
    path.write_text(text[: len(text) // 2] if number % 40 == 19 else text.replace('"grade_id"', '"lost"'), "utf-8")


class Memory(threading.Thread):
    """Samples the memory of a process and all its children: proportional set size, so that shared pages count once."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.process, self.peak, self.shared = psutil.Process(pid), 0, 0

    def run(self) -> None:
        while self.process.is_running() and self.process.status() != psutil.STATUS_ZOMBIE:
            total = shared = 0
            with suppress(psutil.NoSuchProcess):
                for process in (self.process, *self.process.children(recursive=True)):
                    with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                        found = process.memory_full_info()
                        total, shared = total + found.pss, shared + found.rss
            self.peak, self.shared = max(self.peak, total), max(self.shared, shared)
            time.sleep(1)


@dataclass
class Run:
    """One run of ours: wall clock of the whole command, seconds for each result after the first, of processor."""

    students: int
    whole: float
    each: float
    used: float
    said: dict

    def show(self, name: str, theirs: float, cost: float) -> None:
        """Print the figures beside stock nbgrader's for one submission: ``theirs`` seconds, ``cost`` of processor."""
        print(f"{name}: {self.said['judged']} of {self.students} submissions run; others equal one of these")
        print(f"  the whole command: {self.whole:.2f} s, {1000 * self.whole / self.students:.0f} ms for each; "
              f"{self.used:.1f} s of processor")  # fmt: skip
        print(f"  from the first result to the last: {self.each * 1000:.0f} ms for each submission")
        whole, used = (self.students / spent for spent in (self.whole, self.used))
        print(f"  stock / ours: {theirs * whole:.0f} with start-up, {theirs / self.each:.0f} once it is warm; "
              f"by processor time {cost * used:.0f}", flush=True)  # fmt: skip


def ours(course: Path, students: int) -> Run:
    """Grade with ours."""
    before, start = processor_seconds(), time.monotonic()
    done = subprocess.run(grading(course), stdout=subprocess.PIPE, text=True, check=True)
    whole, used = time.monotonic() - start, processor_seconds() - before
    return Run(students, whole, between_results(course), used, json.loads(done.stdout))


def grading(course: Path) -> list[str]:
    return [sys.executable, "-m", "studium", "grade", "ps1", "--course", str(course), "--json"]


def show_memory(course: Path) -> None:
    """Grade once more and look at the memory meanwhile, which costs the processes that are looked at some time."""
    with subprocess.Popen(grading(course), stdout=subprocess.DEVNULL) as process:
        memory = Memory(process.pid)
        memory.start()
    assert process.returncode == 0
    shared, peak = (f"{size / 2**20:.0f} MB" for size in (memory.shared, memory.peak))
    print(f"peak memory of all our processes: {peak} (resident sizes added: {shared})", flush=True)


def processor_seconds() -> float:
    """Give what this process and its ended children have used, which other load changes little."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def points(rows: list[dict]) -> dict[str, float]:
    return {row["student"]: row["score"] for row in rows}


def between_results(course: Path) -> float:
    """Give the seconds from the first result to the last, by when they were kept, for each result after the first."""
    kept = sorted(path.stat().st_mtime for path in (course / ".studium" / "results" / "ps1").iterdir())
    return (kept[-1] - kept[0]) / (len(kept) - 1)


def stock_course(course: Classroom, folder: Path, students: list[str]) -> Path:
    ignored = shutil.ignore_patterns("submitted", "autograded", ".studium", "gradebook.db", "release")
    stock = Path(shutil.copytree(course.root, folder, ignore=ignored))
    course.build(stock)
    for student in students:
        shutil.copytree(course.root / "submitted" / student, stock / "submitted" / student)
    return stock


def test_a_torch_class(course: Classroom, nbgrader, gradebook_rows, tmp_path: Path) -> None:
    show_memory(Path(shutil.copytree(course.root, tmp_path / "watched")))
    unlike = ours(all_unlike(course.root, tmp_path / "unlike"), course.students)
    mixed = ours(course.root, course.students)
    sample = [f"s{number:03}" for number in range(SAMPLE)]
    stock = stock_course(course, tmp_path / "stock", sample)
    before, start = processor_seconds(), time.monotonic()
    nbgrader(stock, "autograde", "ps1")
    theirs, cost = (time.monotonic() - start) / SAMPLE, (processor_seconds() - before) / SAMPLE
    print(f"{course.students} submissions, sandbox {mixed.said['sandbox']}, {psutil.cpu_count()} processors")
    print(f"stock nbgrader autograde, {SAMPLE} of them: {theirs:.2f} s for each submission, {cost:.1f} s of processor")
    mixed.show("ours, a class in which some copy and some hand in nothing", theirs, cost)
    unlike.show("ours, a class in which no two are alike", theirs, cost)
    marks: dict[str, float] = {}
    for student, _, _, auto, *_ in gradebook_rows(stock)["grades"]:
        marks[student] = marks.get(student, 0.0) + (auto or 0.0)
    mine = points(mixed.said["submissions"])
    print("scores, ours and stock's:", {student: (mine[student], marks[student]) for student in sample})
    assert {student: mine[student] for student in sample} == marks
    assert mine == points(unlike.said["submissions"])
