"""Turn the cells of a lesson into the blocks of a page, its table of contents and its entries in the search."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby, takewhile

from nbformat import NotebookNode

from studium.desk.lesson_images import first_diagram
from studium.notebooks.editions import exercise_of, is_optional, role
from studium.site.code import code_block
from studium.site.guesses import Guess, findings, guesses, names_asked, without_answers
from studium.site.outputs import has_plot, show_failures, show_outputs
from studium.site.prose import Heading, Prose, Section, show_block, show_inline
from studium.site.running import failures
from studium.topics.topic import Topic

_FOLDED = {"setup": "Set-up", "widget": "Code of this widget", "diagram": "Code of this diagram"}


@dataclass(frozen=True)
class Text:
    """Prose below a heading, or before the first one."""

    heading: Heading | None
    html: str
    kind: str = "text"


@dataclass(frozen=True)
class Code:
    """Source and its outputs. ``folded`` is the label of source that is hidden at first, "" if it is shown."""

    source: str
    outputs: list[str]
    folded: str
    kind: str = "code"


@dataclass(frozen=True)
class Exercise:
    """An exercise: what to write, hints to unfold, what is checked, and why its check could not run."""

    id: str
    heading: Heading
    effort: str
    statement: str
    stub: str
    hints: list[str]
    checks: list[str]
    failures: list[str]
    optional: bool
    kind: str = "exercise"


Block = Text | Code | Exercise | Guess


@dataclass(frozen=True)
class Passage:
    """What a search can find: a heading with its anchor ("" for the top of the page) and the words below it."""

    anchor: str
    heading: str
    words: list[str] = field(default_factory=list)


@dataclass
class LessonPage:
    """The content of a lesson's page.

    ``lead`` is the widget that the lesson opens with, which the page shows before the text; None if it has none.
    ``problems`` names cells that failed and formulas that could not be parsed; ``image`` is SVG text, or "".
    """

    title: str
    lead: Code | None = None
    blocks: list[Block] = field(default_factory=list)
    contents: list[Heading] = field(default_factory=list)
    passages: list[Passage] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    has_plots: bool = False
    image: str = ""

    @property
    def first_widget(self) -> list[str]:
        """The HTML of the first widget, empty if the lesson has none that moves."""
        shown = (block for block in (self.lead, *self.blocks) if isinstance(block, Code) and _is_widget(block))
        return next((block.outputs for block in shown), [])


def _is_widget(code: Code) -> bool:
    return code.folded == _FOLDED["widget"] and bool(code.outputs)


def annotate(notebook: NotebookNode, topic: Topic) -> None:
    """Write into each exercise's cells what its page shows about it, so the notebook is enough on its own."""
    for cell in notebook.cells:
        if name := exercise_of(cell):
            exercise = topic.exercise(name)
            cell.metadata.studium["page"] = {
                "effort": exercise.facts(optional=is_optional(cell)),
                "statement": exercise.statement,
                "hints": list(exercise.hints),
                "checks": [test.name for test in exercise.tests if not test.hidden],
            }


def read_page(notebook: NotebookNode, title: str) -> LessonPage:
    """Turn an annotated notebook, run or not, into a page."""
    return _Reader(title).read(notebook)


class _Reader:
    def __init__(self, title: str) -> None:
        self.page = LessonPage(title, passages=[Passage("", title)])
        self.prose = Prose()
        self.found: dict[str, float] = {}
        self.asked: set[str] = set()

    def read(self, notebook: NotebookNode) -> LessonPage:
        self.found = findings(notebook)
        self.asked = set(names_asked(notebook, self.found))
        for name, group in groupby(notebook.cells, key=exercise_of):
            cells = list(group)
            self.page.blocks += [self._exercise(name, cells)] if name else self._plain(cells)
        self._lead()
        self.page.image = first_diagram(notebook)
        self.page.has_plots = any(has_plot(cell) for cell in notebook.cells)
        self.page.problems = [*failures(notebook), *self.prose.problems]
        return self.page

    def _lead(self) -> None:
        """Move the first widget to the top, unless an exercise comes before it."""
        blocks = self.page.blocks
        opening = takewhile(lambda block: not isinstance(block, Exercise), blocks)
        self.page.lead = next((block for block in opening if isinstance(block, Code) and _is_widget(block)), None)
        self.page.blocks = [block for block in blocks if block is not self.page.lead]

    def _plain(self, cells: Iterable[NotebookNode]) -> Iterator[Block]:
        for cell in cells:
            if cell.cell_type == "markdown":
                yield from map(self._text, self.prose.sections(cell.source))
            elif cell.cell_type == "code" and (asked := guesses(cell.source, self.found)):
                yield from asked
            elif cell.cell_type == "code" and cell.source.strip():
                words = (*cell.metadata.get("tags", ()), role(cell))
                hidden = "Code" if cell.metadata.get("jupyter", {}).get("source_hidden") else ""
                folded = next((_FOLDED[word] for word in words if word in _FOLDED), hidden)
                yield Code(code_block(cell.source), show_outputs(without_answers(cell, self.asked)), folded)

    def _text(self, section: Section) -> Text:
        heading = section.heading
        if heading and heading.level == 1 and not self.page.contents:
            self.page.title, heading = heading.text, None  # it is at the top of the page
        elif heading:
            self.page.contents.append(heading)
            self.page.passages.append(Passage(heading.anchor, heading.text))
        self.page.passages[-1].words.append(section.text)
        return Text(heading, section.html)

    def _exercise(self, name: str, cells: list[NotebookNode]) -> Exercise:
        """Combine the prompt, the stub and the check into one block, even if plugins put other cells between them."""
        told = cells[0].metadata.studium.page
        stub = next((cell.source for cell in cells if role(cell) == "exercise"), "")
        level = 3 if self.page.contents else 2
        heading = Heading(level, self.prose.anchor(f"exercise-{name}"), f"<code>{name}</code>", f"Exercise: {name}")
        self.page.contents.append(heading)
        self.page.passages.append(Passage(heading.anchor, heading.text, [stub]))
        return Exercise(
            name,
            heading,
            told.effort,
            show_block(told.get("statement", "")),
            code_block(stub),
            [show_inline(hint) for hint in told.hints],
            [show_inline(check) for check in told.checks],
            [html for cell in cells if role(cell) == "check" for html in show_failures(cell)],
            is_optional(cells[0]),
        )
