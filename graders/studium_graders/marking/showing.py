"""Show an answer to whoever marks it, as on the feedback page, with the question, the test and the solution."""

import hashlib
from pathlib import Path

from nbgrader.coursedir import CourseDirectory

from studium_graders.course.finding import open_course
from studium_graders.course.limits import Limits
from studium_graders.engine.material.template import material_of
from studium_graders.feedback.code import show_code
from studium_graders.feedback.handed_in import read_handed_in
from studium_graders.feedback.markdown import show_markdown
from studium_graders.feedback.marks import read_marks_of
from studium_graders.feedback.model import Section
from studium_graders.feedback.page_limits import Room
from studium_graders.feedback.sections import Sources, sections_of
from studium_graders.feedback.stored import read_result, result_of
from studium_graders.marking.forms import Shown, ShownAnswer, ShownCheck
from studium_graders.marking.outline import outline_of
from studium_graders.results.mistakes import Sentences


class Showing:
    """The answers to one assignment of the course in ``root``. Reading the assignment takes a moment: keep this."""

    def __init__(self, root: Path, assignment: str, sentences: Sentences) -> None:
        """Raise StudiumError if the course or the assignment cannot be used."""
        self.directory: CourseDirectory = open_course(root, assignment)
        self._assignment, self._sentences = assignment, sentences
        root = Path(self.directory.root)
        self._material = material_of(self.directory.config, root, assignment, Limits())
        self._results = root / ".studium" / "results" / assignment
        self.outline = outline_of(self._material)

    def content(self, student: str, notebook: str) -> str:
        """Name what is in a student's notebook now; "" if there is none."""
        try:
            return hashlib.sha256(self._path(student, notebook).read_bytes()).hexdigest()
        except OSError:
            return ""

    def show(self, student: str, question: str) -> Shown:
        """Return a student's answer to a question of the outline."""
        asked, room = self.outline[question], Room()
        section = self._section(student, asked.notebook, asked.cell, room)
        return Shown(
            show_markdown(asked.text, {}, Room()) if asked.text.strip() else "",
            [
                ShownAnswer(one.label.replace("Your", "The student's", 1), one.html, one.outputs_html)
                for one in section.answers
            ],
            [
                ShownCheck(one.name, one.word, one.points, one.max_points, one.message, one.mistake, cell == asked.cell)
                for one, cell in zip(section.checks, section.cells, strict=True)
            ],
            show_code(asked.test, Room()) if asked.test else "",
            show_code(asked.solution, Room()) if asked.solution else "",
            "" if section.answers else "The notebook has no answer that could be shown: it is missing, or unreadable.",
        )

    def _section(self, student: str, notebook: str, cell: str, room: Room) -> Section:
        """Return the part of the feedback page that the cell is in; staff see outputs that students may not."""
        marks = read_marks_of(self.directory.db_url, self._assignment, student)
        book = next((book for book in marks.notebooks if book.name == notebook), None) if marks else None
        material = next(one for one in self._material.notebooks if one.name == notebook)
        if book is None:
            return Section("")
        handed_in = read_handed_in(material, self._path(student, notebook))
        found = result_of(read_result(self._results, student), book, handed_in)
        released = handed_in.released
        shown = (material.cells, released, handed_in, book, found, lambda text: False, room, self._sentences)
        return next((one for one in sections_of(Sources(*shown)) if cell in one.cells), Section(""))

    def _path(self, student: str, notebook: str) -> Path:
        step = self.directory.autograded_directory
        return Path(self.directory.format_path(step, student, self._assignment)) / f"{notebook}.ipynb"
