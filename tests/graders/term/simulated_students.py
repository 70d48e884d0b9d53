"""The students of a simulated term: who they are, what they hand in, and the files in which a system gives it out."""

import csv
import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from studium.catalogue.catalogue import Catalogue
from studium.exercises.definitions import definition
from studium.exercises.model import AnyFunction, Exercise
from studium.exercises.sources import imports_used, solved
from studium.topics.topic import Topic

NAMES = (
    *("Ada Lovelace", "Bob Novak", "Cleo Haas", "Dan Okoro", "Eve Lindqvist", "Finn Maier"),
    *("Gus Almeida", "Hana Sato", "Ida Berg", "Jon Price", "Kim Park", "Leo Conti"),
)
EXERCISES = {
    "ps1": ("lora", "lora_linear", "merge"),
    "ps2": ("ddpm", "make_betas", "q_sample"),
    "ps3": ("kv-caching", "write_cache", "cached_mask"),
}
STRICT = "not-clipped"  # the mistake in make_betas that one test was too strict about
ON_TIME, TWO_DAYS_LATE, FIVE_DAYS_LATE = "2027-01-31 18:00:00 UTC", "2027-02-02 20:00:00 UTC", "2027-02-05 20:00:00 UTC"


@dataclass(frozen=True)
class Student:
    """One student. Every twelfth behaves alike; ``kind`` says how."""

    number: int

    @property
    def name(self) -> str:
        """First and last name."""
        return NAMES[self.number] if self.number < len(NAMES) else f"Student {self.number:03}"

    @property
    def id(self) -> str:
        """The id in the course."""
        return NAMES[self.number].split()[0].lower() if self.number < len(NAMES) else f"s{self.number:03}"

    @property
    def key(self) -> int:
        """The number that Canvas and Moodle know the student by."""
        return 4001 + self.number

    @property
    def kind(self) -> int:
        """What the student does, 0 to 11."""
        return self.number % 12

    def is_missing(self, assignment: str) -> bool:
        """Return whether nothing is handed in."""
        return self.kind == 6 and assignment == "ps1"

    def is_unreadable(self, assignment: str) -> bool:
        """Return whether a broken file is handed in."""
        return self.kind == 5 and assignment == "ps1"

    @property
    def handed_in(self) -> str:
        """When the third assignment was handed in: the first two come from systems whose archives do not say."""
        return {4: FIVE_DAYS_LATE, 8: TWO_DAYS_LATE}.get(self.kind, ON_TIME)


class Term:
    """The students of a term of ``size``, and their files for the course in ``course``."""

    def __init__(self, course: Path, size: int, catalogue: Catalogue) -> None:
        self.course, self.catalogue = course, catalogue
        self.students = [Student(number) for number in range(size)]
        self.stride = max(4, size // 12)

    @property
    def not_clipped(self) -> list[str]:
        """The students whose schedule of ps2 is not clipped, 12 of 300."""
        return [one.id for one in self.students if one.number % self.stride == 3]

    def class_list(self) -> str:
        """Return the file that nbgrader reads students from."""
        rows = [("id", "first_name", "last_name", "email")]
        rows += [(one.id, *one.name.split(), f"{one.id}@uni.example") for one in self.students]
        return "".join(f"{','.join(row)}\n" for row in rows)

    def canvas_sheet(self, points: float) -> str:
        """Return what Canvas exports, with a column for ps1."""
        lines = [
            "Student,ID,SIS User ID,SIS Login ID,Section,Problem set 1 (4711),Final Score",
            f"    Points Possible,,,,,{points:g},(read only)",
        ]
        lines += [
            f'"{", ".join(reversed(one.name.split()))}",{one.key},,{one.id}@uni.example,Monday,,'
            for one in self.students
        ]
        return "".join(f"{line}\r\n" for line in [*lines, '"Student, Test",9999,,,Monday,,'])

    def moodle_worksheet(self, points: float) -> str:
        """Return the grading worksheet of ps2."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        head = "Identifier,Full name,Email address,Status,Grade,Maximum Grade,Grade can be changed,Feedback comments"
        writer.writerow(head.split(","))
        for one in self.students:
            mail = f"{one.id}@uni.example"
            row = (f"Participant {one.key}", one.name, mail, "Submitted for grading", "", f"{points:.2f}", "Yes", "")
            writer.writerow(row)
        return text.getvalue()

    def canvas_archive(self, path: Path) -> None:
        """Write the archive of ps1 as Canvas names files: a second version has a number behind its name."""
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for one, content in self.notebooks("ps1"):
                late = "LATE_" if one.kind == 4 else ""
                who = "".join(reversed(one.name.lower().split()))
                if one.kind == 1:
                    archive.writestr(f"{who}_{one.key}_{70000 + one.number}_lora.ipynb", "a first attempt")
                version = "-1" if one.kind == 1 else ""
                archive.writestr(f"{who}_{late}{one.key}_{80000 + one.number}_lora{version}.ipynb", content)

    def moodle_archive(self, path: Path) -> None:
        """Write the archive of ps2 as Moodle names folders."""
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for one, content in self.notebooks("ps2"):
                archive.writestr(f"{one.name}_{one.key}_assignsubmission_file/ddpm.ipynb", content)

    def exchange(self) -> None:
        """Lay ps3 where nbgrader's exchange would, with its times."""
        for one, content in self.notebooks("ps3"):
            folder = self.course / "submitted" / one.id / "ps3"
            folder.mkdir(parents=True)
            (folder / "kv-caching.ipynb").write_text(content, "utf-8")
            (folder / "timestamp.txt").write_text(one.handed_in)

    def notebooks(self, assignment: str) -> Iterator[tuple[Student, str]]:
        """Return the notebook of each student who hands one in."""
        slug, first, second = EXERCISES[assignment]
        topic = self.catalogue[slug]
        released = (self.course / "release" / assignment / f"{slug}.ipynb").read_text("utf-8")
        for one in self.students:
            if not one.is_missing(assignment):
                answers = self._answers(one, assignment, topic.exercise(first), topic.exercise(second), topic)
                yield (
                    one,
                    released[: len(released) // 2] if one.is_unreadable(assignment) else _filled(released, answers),
                )

    def _answers(
        self, one: Student, assignment: str, first: Exercise, second: Exercise, topic: Topic
    ) -> dict[str, str]:
        answers = {item.id: solved(item) for item in (first, second)}
        if assignment == "ps2" and one.id in self.not_clipped:
            (mistake,) = (item for item in first.misconceptions if item.name == STRICT)
            return answers | {first.id: _as_answer(topic, first, mistake.function)}
        if one.kind in (1, 10) and second.alternatives:
            answers[second.id] = _as_answer(topic, second, second.alternatives[0])
        elif one.kind in (2, 11):
            answers[second.id] = _as_answer(topic, second, second.misconceptions[one.kind % 2].function)
        elif one.kind == 7 and assignment == "ps3":
            answers[second.id] = f"def {second.id}(:\n    return None\n"
        elif one.kind in (3, 7):
            answers[first.id] = _as_answer(topic, first, first.misconceptions[-1].function)
        elif one.kind == 9:
            del answers[second.id]
        return answers


def _as_answer(topic: Topic, exercise: Exercise, function: AnyFunction) -> str:
    imports = imports_used(function, topic.exercises, f"an answer to {exercise.id}")
    return "\n".join([*imports, "", "", definition(function).replace("def _(", f"def {exercise.id}(", 1)])


def _filled(released: str, answers: dict[str, str]) -> str:
    notebook = json.loads(released)
    for cell in notebook["cells"]:
        own = cell["metadata"].get("studium", {})
        if own.get("role") == "exercise" and own.get("exercise") in answers:
            cell["source"] = answers[own["exercise"]]
    return json.dumps(notebook)
