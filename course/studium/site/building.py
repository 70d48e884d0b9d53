"""Build a site: run the lessons that need it, then write all pages."""

import time
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import msgspec

from studium.catalogue.catalogue import Catalogue
from studium.errors import StudiumError, TopicError
from studium.notebooks.editions import compile_lesson
from studium.notebooks.elsewhere import Repository, open_elsewhere
from studium.notebooks.files import write_notebook, write_text
from studium.site.about import Cards
from studium.site.assets import write_assets
from studium.site.cells import annotate, read_page
from studium.site.pages import Lesson, lesson_page, search_index, start_page
from studium.site.running import failures, run_notebook
from studium.site.runs import Runs, inputs_of
from studium.site.widgets import WidgetFiles
from studium.topics.topic import Topic

START = "index.html"
KEPT = ".studium"  # the notebooks after running


class WrittenLesson(msgspec.Struct, frozen=True):
    """A requested lesson: its files, whether it was run, and which of its cells failed."""

    slug: str
    title: str
    page: str
    notebook: str
    ran: bool
    seconds: float
    problems: list[str]


class WrittenSite(msgspec.Struct, frozen=True):
    """What was written, and why some topics are missing. ``pages`` also counts those of earlier calls."""

    folder: str
    start: str
    pages: int
    lessons: list[WrittenLesson]
    problems: list[str]

    @property
    def all_problems(self) -> list[str]:
        """Topics that could not be used and cells that failed, in a sentence each."""
        cells = [f"{lesson.page}: {problem}" for lesson in self.lessons for problem in lesson.problems]
        return [*self.problems, *cells]


@dataclass(frozen=True)
class Options:
    """How to run lessons: profile, time limit for a cell in seconds, whether at all, whether again.

    With ``repository``, pages and notebooks link to the services that open its notebooks. ``address`` is where the site
    will be, so that cards can have the full addresses of their pages and images.
    """

    profile: str = "laptop"
    limit: int = 600
    run: bool = True
    force: bool = False
    repository: Repository | None = None
    address: str = ""


@dataclass
class Site:
    """A site in a folder. Lessons from earlier calls stay in it; ``watch`` is told what is running."""

    catalogue: Catalogue
    folder: Path
    options: Options = field(default_factory=Options)
    watch: Callable[[str], None] = lambda state: None

    def __post_init__(self) -> None:
        self.runs = Runs(self.folder / KEPT)
        if self.folder.exists() and not self.folder.is_dir():
            raise StudiumError(f"--out must be a folder: {self.folder} is a file; name another")
        if self.folder.is_dir() and any(self.folder.iterdir()) and not self.runs.folder.is_dir():
            raise StudiumError(
                f"--out must be a new folder, an empty one or an earlier site: {self.folder} contains other files; "
                f"name another"
            )

    def build(self, topics: Sequence[Topic]) -> WrittenSite:
        """Bring the lessons of ``topics`` up to date, then write every page."""
        self.runs.folder.mkdir(parents=True, exist_ok=True)
        seconds: dict[str, float | None] = {}
        problems: list[str] = []
        for topic in topics:
            try:
                seconds[topic.slug] = self._update(topic)
            except TopicError as error:
                problems.append(str(error))
        lessons = self._write_pages()
        written = [_written(lesson, seconds[lesson.slug]) for lesson in lessons if lesson.slug in seconds]
        return WrittenSite(str(self.folder), str(self.folder / START), len(lessons) + 1, written, problems)

    def _update(self, topic: Topic) -> float | None:
        """Run a lesson whose inputs changed; return the seconds it took, or None if it was not run."""
        options = self.options
        notebook = compile_lesson(topic, self.catalogue.manager)
        published = deepcopy(notebook)
        if options.repository:
            open_elsewhere(published, topic, options.repository, options.repository.site, f"{topic.slug}.ipynb")
        write_notebook(published, self.folder / f"{topic.slug}.ipynb")
        annotate(notebook, topic)
        inputs = inputs_of(topic, notebook, options.profile, self.catalogue)
        if self.runs.is_fresh(topic.slug, inputs) and not (options.run and options.force):
            return None
        if not options.run:
            self.runs.keep(topic.slug, notebook, "")
            return None
        start = time.perf_counter()
        notebook.metadata.studium["profile"] = options.profile
        run_notebook(
            notebook,
            options.profile,
            options.limit,
            lambda done, total: self.watch(f"{topic.slug}: cell {done + 1} of {total}"),
        )
        self.runs.keep(topic.slug, notebook, "" if failures(notebook) else inputs)
        return time.perf_counter() - start

    def _services(self, notebook: str) -> dict[str, str]:
        repository = self.options.repository
        return repository.services(str(PurePosixPath(repository.site, notebook))) if repository else {}

    def _write_pages(self) -> list[Lesson]:
        kept = {topic: self.runs.get(topic.slug) for topic in self.catalogue.lessons}
        lessons = [
            Lesson(topic, read_page(notebook, topic.title), str(notebook.metadata.studium.get("profile", "")))
            for topic, notebook in kept.items()
            if notebook
        ]
        widgets, cards = WidgetFiles(), Cards(self.folder, self.options.address)
        for index, lesson in enumerate(lessons):
            page = lesson_page(lessons, index, services=self._services(f"{lesson.slug}.ipynb"), cards=cards)
            write_text(widgets.moved_out(page, lesson.slug), self.folder / f"{lesson.slug}.html")
        write_text(widgets.moved_out(start_page(lessons, cards), "index"), self.folder / START)
        widgets.write(self.folder)
        cards.tidy()
        write_assets(self.folder, search_index(lessons), plots=any(lesson.page.has_plots for lesson in lessons))
        for slug in self.runs.slugs() - {lesson.slug for lesson in lessons}:  # its topic is no longer installed
            for suffix in ("html", "ipynb"):
                (self.folder / f"{slug}.{suffix}").unlink(missing_ok=True)
        return lessons


def _written(lesson: Lesson, seconds: float | None) -> WrittenLesson:
    return WrittenLesson(
        lesson.slug,
        lesson.page.title,
        page=f"{lesson.slug}.html",
        notebook=f"{lesson.slug}.ipynb",
        ran=seconds is not None,
        seconds=round(seconds or 0.0, 1),
        problems=lesson.page.problems,
    )
