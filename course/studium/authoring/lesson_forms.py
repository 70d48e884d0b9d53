"""The form of a lesson: what the standard requires, as far as a program can check it.

All of it is advice. Each line ends with the heading in ``docs/standard.md`` that explains it.
"""

import ast
import itertools
import re
from collections.abc import Callable, Iterator

from nbformat import NotebookNode

from studium.authoring.findings import Finding
from studium.authoring.subject import Subject
from studium.desk.ending import ABILITIES, section_below
from studium.exercises.sources import solved
from studium.exercises.syntax import parse
from studium.notebooks.editions import exercise_of, is_optional, read_lesson, role

MOST_WORDS = 3300  # "about 3,000"
WORDS_BEFORE_A_WIDGET = 280  # "about 250": a screen of prose
TASKS = 3
_WORDS = re.compile(r"^```.*?^```|\$\$.*?\$\$|<svg.*?</svg>", re.MULTILINE | re.DOTALL)
_ITEM = re.compile(r"^(?:[*+-]|\d+[.)]) ", re.MULTILINE)
_LOOPS = (ast.For, ast.While)
_NEED = re.compile(r"^(?:\*\*)?You need(?:\*\*)? (?!to )(?P<text>(?:.+\n?)+)", re.MULTILINE)
_LESSON = re.compile(r"\]\((?:\./)?(?P<slug>[a-z0-9-]+)\.ipynb\)")


def lesson_forms(subject: Subject) -> Finding:
    """Look for the lesson's widget, loop, diagram, bridge, terms, guesses and ending."""
    cells = read_lesson(subject.topic).cells
    advice = [f"{said} [standard.md#{rule}]" for rule, look in _RULES.items() for said in look(subject, cells)]
    return Finding([], "the lesson has all the forms of the standard", advice=advice)


Cells = list[NotebookNode]


def _widget(subject: Subject, cells: Cells) -> Iterator[str]:
    before = list(itertools.takewhile(lambda cell: "widget" not in _tags(cell), cells))
    if len(before) < len(cells) and (words := _words(before)) > WORDS_BEFORE_A_WIDGET:
        yield (
            f"the first widget should come after at most about 250 words: here it comes after {words}; show it below "
            f"the opening question, and then explain what the lesson does, needs and takes"
        )


def _needs(subject: Subject, cells: Cells) -> Iterator[str]:
    """Compare the lessons that "You need" links to with the topic's `needs`."""
    found = _NEED.search("\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown"))
    told, needs = set(_LESSON.findall(found["text"]) if found else ()), set(subject.topic.needs)
    for slug in sorted(told - needs):
        yield f"`needs` in __init__.py must name {slug!r}, which the lesson needs: add it, or change **You need**"
    for slug in sorted(needs - told):
        yield (
            f"the paragraph **You need** must link to {slug!r}, which `needs` in __init__.py names: write what the "
            f"lesson needs of it and [{slug}]({slug}.ipynb), or drop it from `needs`"
        )


def _words(cells: Cells) -> int:
    """Return how many words the prose of cells has, without formulas, code and diagrams."""
    return sum(len(_WORDS.sub(" ", cell.source).split()) for cell in cells if cell.cell_type == "markdown")


def _loop(subject: Subject, cells: Cells) -> Iterator[str]:
    sources = [cell.source for cell in cells if cell.cell_type == "code" and not exercise_of(cell)]
    whole = (exercise for exercise in subject.exercises if exercise.level == "integrative")
    sources += [solved(exercise) for exercise in whole]
    if not any(map(_shows_loop, sources)):
        yield (
            "the lesson needs a complete loop that the learner can see, such as training with an optimiser or a "
            "sampler: none of its cells and integrative exercises has one; write it out in 10 to 20 lines before an "
            "experiment repeats it"
        )


def _shows_loop(source: str) -> bool:
    """Return whether a loop trains (it steps an optimiser) or continues from its own last value, as samplers do."""
    try:
        loops = [node for node in ast.walk(parse(source)) if isinstance(node, _LOOPS)]
    except SyntaxError:  # magic
        return False
    return any(_steps(node) or _carries(node) for loop in loops for node in ast.walk(loop))


def _steps(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("step", "step_")


def _carries(node: ast.AST) -> bool:
    """Return whether a statement recomputes a name from itself by a call: ``x = p_step(x, t)``."""
    if not isinstance(node, ast.Assign):
        return False
    bound = {part.id for target in node.targets for part in ast.walk(target) if isinstance(part, ast.Name)}
    calls = [part for part in ast.walk(node.value) if isinstance(part, ast.Call)]
    read = {part.id for call in calls for part in ast.walk(call) if isinstance(part, ast.Name)}
    return bool(bound & read)


def _diagram(subject: Subject, cells: Cells) -> Iterator[str]:
    before = list(itertools.takewhile(lambda cell: not exercise_of(cell), cells))
    if not any("diagram" in _tags(cell) or "<svg" in cell.source for cell in before):
        late = any("diagram" in _tags(cell) for cell in cells)
        yield (
            f"the lesson needs a labelled diagram before its first exercise: {'it comes later' if late else 'none'}; "
            'show one in a cell with tags=["diagram"]'
        )


def _bridge(subject: Subject, cells: Cells) -> Iterator[str]:
    if not any("bridge" in _tags(cell) for cell in cells):
        yield (
            "the lesson needs a bridge to practice: no cell has the tag; run the same weights through the library's "
            'own layer in a cell with tags=["experiment", "bridge"], and print the difference'
        )


def _guesses(subject: Subject, cells: Cells) -> Iterator[str]:
    for cell in cells:
        for call in _calls(cell, "predict"):
            if len(call.args) < 2 or not (isinstance(call.args[1], ast.Constant) and call.args[1].value is ...):
                yield (
                    f"{subject.place(str(cell.id))} must leave the guess to the learner: it passes "
                    f"{ast.unparse(call.args[1]) if len(call.args) > 1 else 'none'}; write `...` in its place"
                )


def _terms(subject: Subject, cells: Cells) -> Iterator[str]:
    if not any("<dfn>" in cell.source for cell in cells if cell.cell_type == "markdown"):
        yield (
            "the lesson should define its terms: none is marked; write each as <dfn>term</dfn> in a sentence that "
            "makes sense out of context"
        )


def _length(subject: Subject, cells: Cells) -> Iterator[str]:
    if (words := _words([cell for cell in cells if not is_optional(cell)])) > MOST_WORDS:
        yield (
            f"a lesson has at most about 3,000 words, for two ideas: this has {words}; cut some, or move it to Further"
        )


def _end(subject: Subject, cells: Cells) -> Iterator[str]:
    text = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    for heading, wanted, what in (
        (ABILITIES, 5, "five lines that begin with a verb"),
        ("Open tasks", TASKS, "three: ten minutes, an hour, a day"),
    ):
        section = section_below(text, heading)
        count = None if section is None else len(_ITEM.findall(section))
        if count != wanted:
            found = "there is no such heading" if count is None else f"it has {count} items"
            yield f"the lesson should end with `## {heading}`, a list of {what}: {found}; write it"


def _calls(cell: NotebookNode, name: str) -> Iterator[ast.Call]:
    """Return the calls of ``lesson.name`` in a code cell."""
    if cell.cell_type != "code" or role(cell) == "exercise":
        return
    try:
        nodes = list(ast.walk(parse(cell.source)))
    except SyntaxError:
        return
    for node in nodes:
        if isinstance(node, ast.Call) and ast.unparse(node.func) == f"lesson.{name}":
            yield node


def _tags(cell: NotebookNode) -> list[str]:
    return list(cell.metadata.get("tags", ()))


_RULES: dict[str, Callable[[Subject, Cells], Iterator[str]]] = {
    "a-widget-first": _widget,
    "what-it-needs": _needs,
    "a-loop-seen-whole": _loop,
    "a-diagram": _diagram,
    "a-bridge": _bridge,
    "guesses": _guesses,
    "terms": _terms,
    "length": _length,
    "the-end": _end,
}
