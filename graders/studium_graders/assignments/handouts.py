"""Checks that what students get of a topic, its public exercises and its release notebook, gives nothing away."""

from collections import Counter
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from studium.authoring.secrecy import answers_of, leaks_in
from studium.catalogue.catalogue import load_catalogue
from studium.topics.topic import Topic

from studium_graders.assignments.plan import NotebookPlan
from studium_graders.assignments.source_notebook import source_notebook
from studium_graders.course.public_edition import exercise_sources, public_edition

if TYPE_CHECKING:
    from nbformat import NotebookNode


def leaks(topic: Topic) -> Iterator[str]:
    """Report what the public exercises and the release notebook of a topic give away; usually nothing."""
    if not topic.exercises:
        return
    answers = answers_of(topic)
    folder = Path(str(files(topic.package)))
    for name, text in public_edition(exercise_sources(folder), folder.name).items():
        yield from leaks_in(answers, f"the public {name}", text)
    cells = release_notebook(topic).cells
    release = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    yield from leaks_in(answers, "the release notebook", release)
    for name, times in Counter(str(cell.id) for cell in cells).items():
        if times > 1:
            yield f"each cell of the release notebook needs its own id: {name!r} appears {times} times; rename a test"


def release_notebook(topic: Topic) -> "NotebookNode":
    """Build the release version of a topic as nbgrader does, without solutions and hidden tests."""
    from nbgrader.preprocessors import ClearHiddenTests, ClearSolutions

    plan = NotebookPlan(topic, topic.exercises, whole=True, experiments=True)
    notebook = source_notebook(plan, load_catalogue().manager)
    for preprocessor in (ClearSolutions(), ClearHiddenTests()):
        notebook, _ = preprocessor.preprocess(notebook, {})
    return notebook
