"""One lesson on disk and everything that can be done with it: check, hint, reveal, reset, update, undo."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
from nbformat import NotebookNode

from studium.catalogue.catalogue import Catalogue
from studium.desk.answer_codes import encode_answer
from studium.desk.base import base_of, cells_of, digest_of, with_base
from studium.desk.clean_check import Terms, check_document
from studium.desk.describing import description_of
from studium.desk.description import Description
from studium.desk.ending import Ending, ending_of
from studium.desk.jobs import RefusedError
from studium.desk.journal import Journal
from studium.desk.labels import read_labels
from studium.desk.merging import Change, Merge, merge_lessons, recognise
from studium.desk.records import LONGEST_ANSWER, new_id, now_ms
from studium.desk.standing import Version
from studium.desk.store import Store
from studium.desk.syllabus import Desk, ExerciseState, Syllabus, TopicState
from studium.errors import StudiumError, UsageError
from studium.exercises.checking import ExerciseResult, ShownResult, with_sentence
from studium.notebooks.editions import exercise_of, role
from studium.notebooks.files import answer_cell, read_notebook, slug_in, write_notebook, write_text
from studium.topics.profiles import available_mb

_BACKUPS = 20  # backups of one notebook


class ChangedError(StudiumError):
    """The notebook has changed since it was looked at."""


class Preview(msgspec.Struct, frozen=True):
    """What an update would do. ``digest`` identifies the notebook it was made for."""

    available: bool
    digest: str
    cells: list[Change]


class Applied(msgspec.Struct, frozen=True):
    """What an update did; ``undo`` names the state before it."""

    undo: str
    cells: list[Change]


class Replaced(msgspec.Struct, frozen=True):
    """A cell's new text after a reset or a restore; ``version`` names the answer that was there, "" for none."""

    cell: str
    source: str
    version: str


class LessonFile:
    """A notebook on disk, the lesson it was built from, and its learner's journal."""

    def __init__(self, path: Path, catalogue: Catalogue, store: Store) -> None:
        self.path, self.catalogue, self.store = path, catalogue, store
        self.notebook = read_notebook(path)
        self.slug = slug_in(self.notebook, path)
        self.journal = Journal(store, path.resolve().parent)

    @property
    def description(self) -> Description:
        """What is known about the topic."""
        return description_of(self.catalogue, self.slug)

    def state(self, exercise: str) -> ExerciseState:
        """Return the state of one exercise."""
        return Desk(self.journal).exercise(self.slug, self.description.exercise(exercise))

    def topic(self, path: str) -> TopicState:
        """Return the state of the whole lesson; ``path`` is the name the caller uses for it."""
        update = self.preview().available
        return Desk(self.journal).topic(self.catalogue[self.slug], self.description, path, update)

    # Checking

    def check(self, exercise: str | None, terms: Terms, notebook: NotebookNode | None = None) -> list[ExerciseResult]:
        """Check one exercise or all, as saved on disk or as in ``notebook``, and record the results.

        Raise RefusedError if that would need more memory than there is.
        """
        document = self.notebook if notebook is None else notebook
        wanted = [self.description.exercise(exercise).id] if exercise else [e.id for e in self.description.exercises]
        memory = float(available_mb()) if terms.memory_mb is None else terms.memory_mb
        if self.journal.settings.memory_guard:
            self._require_memory(wanted, memory)
        result = check_document(document, self.path, exercise, replace(terms, memory_mb=memory), self.catalogue)
        for item in result.exercises:
            self.journal.write_result(self.slug, item, self.answer(item.id, document))
        return result.exercises

    def shown(self, results: Iterable[ExerciseResult]) -> list[ShownResult]:
        """Return the results of a check with the sentences of their mistakes."""
        known = self.description
        return [with_sentence(item, known.exercise(item.id).sentence_of(item.mistake_id)) for item in results]

    def difference(self, exercise: str, terms: Terms, notebook: NotebookNode) -> dict[str, Any]:
        """Check an answer again and return a view of the arrays that differ, by MIME type; nothing is recorded.

        Raise StudiumError if none of them differ.
        """
        name, terms = self.description.exercise(exercise).id, replace(terms, differences=True)
        found = check_document(notebook, self.path, name, terms, self.catalogue).differences
        if name not in found:
            raise StudiumError(f"none of the arrays differ any more in {name}; check it again")
        return found[name]

    def ending(self, syllabus: Syllabus) -> Ending:
        """Return how the lesson ends."""
        return ending_of(self.description, self.catalogue[self.slug].title, self.journal, syllabus)

    def answer(self, exercise: str, notebook: NotebookNode | None = None) -> str:
        """Return the text of an answer, or "" if there is no cell for it."""
        cell = answer_cell(self.notebook if notebook is None else notebook, self.slug, exercise)
        return "" if cell is None else str(cell.source)

    def share(self, exercise: str) -> str:
        """Return the answer as a short text for a link; raise StudiumError if there is none, or if it is too long."""
        item = self.description.exercise(exercise)
        answer = self.answer(item.id)
        return encode_answer(self.slug, item.id, "" if answer.strip() == item.stub.strip() else answer)

    def _require_memory(self, exercises: list[str], memory: float) -> None:
        labels = read_labels(self.store, self.slug).values()
        for label in labels:
            if label.exercise in exercises and label.mb > memory:
                raise RefusedError(
                    f"checking {label.exercise} needs about {label.mb / 1024:.1f} GB here and {memory / 1024:.1f} GB "
                    "is free, so it would be killed; close a notebook or shut down its kernel, then check again"
                )

    # Help

    def hints(self, exercise: str) -> list[str]:
        """Take the next hint; return all that have been taken."""
        hints = self.description.exercise(exercise).hints
        return hints[: self.journal.take_hint(self.slug, exercise, len(hints))] if hints else []

    def reveal(self, exercise: str) -> str:
        """Return a solution, and record that it was seen."""
        solution = self.description.exercise(exercise).solution
        if not solution:
            raise StudiumError(f"this edition has no solution for {exercise}; ask your instructor")
        self.journal.reveal(self.slug, exercise)
        return solution

    # Answers

    def versions(self, exercise: str) -> tuple[Version, ...]:
        """Return the history of an answer, newest first."""
        return self.journal.standing(self.slug, self.description.exercise(exercise).id).versions

    def reset(self, exercise: str) -> Replaced:
        """Put the stub back; the current answer is kept in the history."""
        return self._replace(exercise, self.description.exercise(exercise).stub.rstrip(), "reset")

    def restore(self, exercise: str, version: str) -> Replaced:
        """Put back an answer from the history; the current one is kept."""
        for item in self.versions(exercise):
            if item.id == version:
                return self._replace(exercise, item.answer, "restored")
        raise UsageError(f"the history of {exercise} has no version {version!r}; look at the versions it has")

    def keep(self, exercise: str, answer: str) -> str:
        """Put an answer that is about to leave its cell into the history; "" where it is the stub."""
        item = self.description.exercise(exercise)
        untouched = answer.strip() in ("", item.stub.strip())
        return "" if untouched else self.journal.keep(self.slug, item.id, "restored", answer[:LONGEST_ANSWER])

    def _replace(self, exercise: str, source: str, reason: str) -> Replaced:
        before, version = self.answer(exercise), ""
        if before and before != source:
            version = self.journal.keep(self.slug, exercise, reason, before)
        cell = answer_cell(self.notebook, self.slug, exercise)
        if cell is None:
            cell = self._insert_answer_cell(exercise)
        cell.source = source
        checks = [one for one in self.notebook.cells if role(one) == "check" and exercise_of(one) == exercise]
        for shown in (cell, *checks):  # the old verdict was about another answer
            shown.outputs, shown.execution_count = [], None
        write_notebook(self.notebook, self.path)
        return Replaced(cell.get("id", ""), source, version)

    def _insert_answer_cell(self, exercise: str) -> NotebookNode:
        """Insert an answer cell after the exercise's prompt, or at the end."""
        cells = self.notebook.cells
        cell = answer_cell(self.description.lesson(), self.slug, exercise)
        assert cell is not None  # a lesson places every exercise
        prompts = [n for n, c in enumerate(cells, 1) if role(c) == "prompt" and exercise_of(c) == exercise]
        cells.insert(prompts[0] if prompts else len(cells), cell)
        return cell

    # Updates

    def preview(self) -> Preview:
        """Return what an update would do to each cell, without changing anything."""
        if self.description.problem:
            return Preview(False, self.digest, [])
        changes = self._merged().changes
        return Preview(bool(changes), self.digest, changes)

    @property
    def digest(self) -> str:
        """A digest of the cells on disk, ignoring outputs and what a kernel records about itself."""
        return digest_of(cells_of(read_notebook(self.path)))

    def update(self, digest: str | None = None) -> Applied:
        """Merge the installed lesson into the notebook. Raise ChangedError if ``digest`` does not match it."""
        if digest is not None and digest != self.digest:
            raise ChangedError(f"{self.path.name} has changed since the preview; look at the preview again")
        theirs, merge = self.description.lesson(), self._merged()
        del theirs.metadata["language_info"]  # what the learner's kernel recorded about itself stays
        for item in self.description.exercises:
            if (answer := self.answer(item.id)) and answer != item.stub.rstrip():
                self.journal.keep(self.slug, item.id, "updated", answer)
        undo = self._back_up("update")
        merged = with_base(theirs)  # its metadata, with the new base
        merged.metadata = self.notebook.metadata | merged.metadata
        merged.cells = merge.cells
        write_notebook(merged, self.path)
        return Applied(undo, merge.changes)

    def undo(self, name: str | None = None) -> str:
        """Restore the notebook as it was before the update ``name`` (by default the last one); return the name of this
        state.
        """
        rows = self.store.read(
            "select content from backups where notebook = ?1 and (id = ?2 or ?2 is null and reason = 'update')"
            " order by id desc limit 1",
            str(self.path.resolve()),
            name,
        )
        if not rows:
            raise UsageError(f"{self.path.name} has no update to undo{f' called {name!r}' if name else ''}")
        undo = self._back_up("undo")
        write_text(str(rows[0][0]), self.path)
        return undo

    def _merged(self) -> Merge:
        theirs, mine = self.description.lesson(), read_notebook(self.path)
        base = base_of(mine)
        recognise(mine, theirs, base)
        return merge_lessons(base, mine, theirs)

    def _back_up(self, reason: str) -> str:
        name, notebook = new_id(), str(self.path.resolve())
        row = (name, notebook, now_ms(), reason, self.path.read_text("utf-8"))
        self.store.write("insert into backups values (?, ?, ?, ?, ?)", [row])
        self.store.write(
            "delete from backups where notebook = ?1 and id not in"
            " (select id from backups where notebook = ?1 order by id desc limit ?2)",
            [(notebook, _BACKUPS)],
        )
        return name
