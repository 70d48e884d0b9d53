"""Build an assignment, all or nothing: source/ from the catalogue, release/ with nbgrader, the gradebook to match."""

import os
import shutil
import tempfile
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from nbformat import NotebookNode
from nbgrader.coursedir import CourseDirectory
from studium.catalogue.catalogue import Catalogue
from studium.errors import CourseError, UnknownNameError
from studium.notebooks.elsewhere import open_elsewhere
from studium.notebooks.files import read_notebook, write_notebook
from traitlets.config import Config

from studium_graders.assignments.changed_sources import changed_notebooks, put_aside, seal, was_built
from studium_graders.assignments.generating import generate_release, with_header_and_footer
from studium_graders.assignments.plan import NotebookPlan, plan_notebooks
from studium_graders.assignments.questionable_dates import questions
from studium_graders.assignments.source_notebook import introduce, source_notebook
from studium_graders.course.course_file import FILE, Assignment, Course, read_course
from studium_graders.course.folder import course_directory, folder, load_config
from studium_graders.course.folder_swap import swap_folders
from studium_graders.course.sharing import sharing_of
from studium_graders.gradebook.errors import gradebook_errors
from studium_graders.gradebook.guard import gradebook_file, require_same_cells, restored_on_error
from studium_graders.gradebook.newest_schema import schema_known


class AssignedNotebook(msgspec.Struct, frozen=True):
    """One notebook of an assignment: its name without .ipynb, its exercises and its total points.

    The instructor's own notebook has no exercises of a topic.
    """

    notebook: str
    exercises: list[str]
    points: float


class Assigned(msgspec.Struct, frozen=True):
    """An assignment that was built: where, for when, and what is in it.

    ``kept`` are notebooks that were changed in source/ and left alone; ``copies`` are the files to which changed
    notebooks were copied before they were rebuilt. ``questions`` are sentences about dates that look like slips.
    """

    assignment: str
    due: datetime | None
    source: str
    release: str
    notebooks: list[AssignedNotebook]
    kept: list[str] = []
    copies: list[str] = []
    questions: list[str] = []


def build_assignment(root: Path, name: str, catalogue: Catalogue, *, replace: bool = False) -> Assigned:
    """Build ``source/name`` and ``release/name`` of the course in ``root`` and record them in its gradebook.

    A notebook that was changed in source/ is kept and released with its changes. With ``replace`` it is rebuilt, and a
    copy of it is kept. On StudiumError or OSError both folders and the gradebook are unchanged.
    """
    course = read_course(root)
    assignment = course.assignment(name)
    if not (assignment.topics or assignment.exercises):
        raise CourseError(
            f"{root / FILE} needs topics or exercises for the assignment {name!r}: got neither; add one, or build it "
            f"from your own notebooks with nbgrader generate_assignment {name}"
        )
    plans = _plans(root, assignment, catalogue)
    notebooks = {plan.topic.slug: _notebook(plan, catalogue, course, assignment) for plan in plans}
    built = _Built(notebooks, name, replace)
    source, release = _replace(root, course, assignment, built.write, built.finish)
    exercises = {plan.topic.slug: list(plan.exercises) for plan in plans}
    own = sorted({path.stem for path in source.glob("*.ipynb")} - exercises.keys())
    summaries = [_summary(source, book, exercises.get(book, [])) for book in (*exercises, *own)]
    copies = [str(path) for path in built.copies]
    asked = questions(course, assignment, datetime.now(UTC))
    return Assigned(name, course.due(assignment), str(source), str(release), summaries, built.kept, copies, asked)


def release_source(root: Path, assignment: Assignment, files: Mapping[str, bytes]) -> None:
    """Make ``files``, by relative path, the source of an assignment, and build its release from them as nbgrader does.

    On StudiumError or OSError both folders and the gradebook are unchanged.
    """

    def write(_: Path, new: Path) -> None:
        for path, content in files.items():
            (new / path).parent.mkdir(parents=True, exist_ok=True)
            (new / path).write_bytes(content)

    _replace(root, read_course(root), assignment, write)


@dataclass
class _Built:
    """The notebooks of an assignment on their way into source/, where the instructor may have changed the old ones.

    ``kept`` are the changed ones that stay, ``lost`` those that do not; ``copies`` are the files to which these were
    copied.
    """

    notebooks: Mapping[str, NotebookNode]
    assignment: str
    replace: bool
    kept: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    copies: list[Path] = field(default_factory=list)

    def write(self, old: Path, new: Path) -> None:
        changed = changed_notebooks(old)
        self.kept = [] if self.replace else [book for book in changed if book in self.notebooks]
        self.lost = [book for book in changed if book not in self.kept]
        made = {book: notebook for book, notebook in self.notebooks.items() if book not in self.kept}
        _write_source(made, old, new, self.kept)

    def finish(self, root: Path, old: Path, new: Path) -> None:
        _put_links_back(old, new)
        self.copies = put_aside(old, self.lost, root / ".studium" / "replaced" / self.assignment)


def _replace(
    root: Path,
    course: Course,
    assignment: Assignment,
    write: Callable[[Path, Path], None],
    finish: Callable[[Path, Path, Path], None] = lambda root, old, new: None,
) -> tuple[Path, Path]:
    """Replace the source with what ``write(old, new)`` writes, and the release to match. Return both.

    ``finish(root, old, new)`` is called when everything is built and nothing has been replaced yet.
    """
    name, config = assignment.name, load_config(root.resolve(), course)
    final = course_directory(config, name)
    root = Path(final.root)  # nbgrader's settings may put the course elsewhere
    if "[" in str(root):  # nbgrader treats it as a pattern, since it looks for notebooks with glob
        raise CourseError(f"nbgrader needs a course folder with a path without [: got {root}; rename the folder")
    source, release = (folder(final, step, name) for step in (final.source_directory, final.release_directory))
    with tempfile.TemporaryDirectory(dir=root, prefix=".studium-") as made:
        scratch = Path(made)
        staged = _staged(course_directory(config, name), scratch.name)
        new_source, new_release = (
            folder(staged, step, name) for step in (staged.source_directory, staged.release_directory)
        )
        write(source, new_source)
        with schema_known(), gradebook_errors(final.db_url), restored_on_error(final.db_url, root, scratch):
            require_same_cells(final.db_url, name, _all_notebooks(new_source, config))
            generate_release(staged, config, course.due_for_nbgrader(assignment))
            finish(root, source, new_source)
            swap_folders([(new_source, source), (new_release, release)], scratch)
    for written in filter(None, (source, release, gradebook_file(final.db_url, root))):
        sharing_of(final).share(written)
    return source, release


def _plans(root: Path, assignment: Assignment, catalogue: Catalogue) -> list[NotebookPlan]:
    """Look up topics and exercises. Raise CourseError if course.toml names one that does not exist."""
    try:
        return plan_notebooks(assignment, catalogue)
    except UnknownNameError as error:
        raise CourseError(f"{root / FILE} cannot be used for {assignment.name}: {error}") from error


def _notebook(plan: NotebookPlan, catalogue: Catalogue, course: Course, assignment: Assignment) -> NotebookNode:
    """Build a notebook of an assignment, with links that open it elsewhere if the course has a repository."""
    notebook, name = source_notebook(plan, catalogue.manager), assignment.name
    if repository := course.repository:
        open_elsewhere(notebook, plan.topic, repository, repository.handouts, name, f"{plan.topic.slug}.ipynb")
    introduce(notebook, plan, name, course.due(assignment))
    return notebook


def _staged(coursedir: CourseDirectory, scratch: str) -> CourseDirectory:
    """Let nbgrader read and write below ``scratch``, a folder of the course, but use the course's gradebook."""
    coursedir.source_directory = f"{scratch}/{coursedir.source_directory}"
    coursedir.release_directory = f"{scratch}/{coursedir.release_directory}"
    return coursedir


def _write_source(notebooks: Mapping[str, NotebookNode], old: Path, new: Path, kept: Collection[str]) -> None:
    """Write the notebooks next to a copy of everything else the instructor keeps in the folder: data, images,
    notebooks.

    ``kept`` are names of notebooks that were built here and then changed, which are copied too.
    """
    new.mkdir(parents=True)
    if old.is_dir():
        try:
            shutil.copytree(old, new, dirs_exist_ok=True, ignore=lambda where, names: _generated(where, names, kept))
        except shutil.Error as error:
            place, _, why = error.args[0][0]
            raise CourseError(f"{place} must be a file that can be copied: {why}; repair it or remove it") from error
    for name, notebook in notebooks.items():
        write_notebook(seal(notebook), new / f"{name}.ipynb")


def _generated(where: str, names: list[str], kept: Collection[str]) -> set[str]:
    """Return the names that must not be copied: notebooks that were built here before, and what nbgrader ignores."""
    paths = [Path(where, name) for name in names]
    built = {path.name for path in paths if path.suffix == ".ipynb" and path.stem not in kept and was_built(path)}
    linked = {path.name for path in paths if path.is_symlink() and path.is_dir()}
    return built | linked | ({".ipynb_checkpoints", "__pycache__"} & set(names))


def _put_links_back(old: Path, new: Path) -> None:
    """Restore links in the source folder: nbgrader has released the files that they lead to."""
    for where, folders, names in os.walk(old):
        for link in (path for name in (*folders, *names) if (path := Path(where, name)).is_symlink()):
            copied = new / link.relative_to(old)
            if copied.parent.is_dir() and not (copied.suffix == ".ipynb" and was_built(copied)):
                copied.unlink(missing_ok=True)
                copied.symlink_to(link.readlink())


def _all_notebooks(source: Path, config: Config) -> dict[str, NotebookNode]:
    paths = sorted(source.glob("*.ipynb"))
    return {path.stem: with_header_and_footer(read_notebook(path), config) for path in paths}


def _summary(source: Path, name: str, exercises: list[str]) -> AssignedNotebook:
    """Return what is in a notebook as found in ``source``, where points may have been changed."""
    marks = [cell.metadata.get("nbgrader", {}) for cell in read_notebook(source / f"{name}.ipynb").cells]
    points = sum(each.get("points") or 0 for each in marks if each.get("grade") or each.get("task"))
    return AssignedNotebook(name, exercises, points)
