"""A learner's workspace: a folder with every lesson and a page to start from. Answers in it are never overwritten."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from pluggy import PluginManager

from studium.catalogue import Catalogue
from studium.editions import compile_lesson
from studium.errors import StudiumError, TopicError
from studium.notebooks import write_notebook, write_text
from studium.topic import Topic

START = "START.md"


@dataclass(frozen=True)
class Workspace:
    """A workspace folder: lessons that are new, lessons that were there with answers, and why some are missing."""

    folder: Path
    made: list[str]
    kept: list[str]
    problems: list[str]


def build_workspace(catalogue: Catalogue, folder: Path) -> Workspace:
    """Write the lessons that are not there yet, and the start page."""
    if folder.exists() and not folder.is_dir():
        raise StudiumError(f"the workspace must be a folder: {folder} is a file; name another with --course")
    workspace = Workspace(folder, [], [], [])
    usable = [topic for topic in catalogue.topics if _add_lesson(workspace, topic, catalogue.manager)]
    write_text(start_page(usable), folder / START)
    return workspace


def _add_lesson(workspace: Workspace, topic: Topic, manager: PluginManager) -> bool:
    """Write one lesson if it is not there; note a topic that breaks its contract, for it must not close the others."""
    path = workspace.folder / f"{topic.slug}.ipynb"
    try:
        notebook = compile_lesson(topic, manager)
    except TopicError as error:
        workspace.problems.append(str(error))
        return False
    if path.exists():
        workspace.kept.append(topic.slug)
    else:
        write_notebook(notebook, path)
        workspace.made.append(topic.slug)
    return True


def start_page(topics: Iterable[Topic]) -> str:
    """Write the start page: the topics by track, in reading order."""
    lines = [
        "# Studium",
        "",
        "Open a lesson, run its cells from the top, and write code where it says `YOUR CODE HERE`.",
        "",
    ]
    for track, members in groupby(topics, key=lambda topic: topic.track):
        lines += [f"## {track}", "", *map(_line, members), ""]
    return "\n".join(lines)


def _line(topic: Topic) -> str:
    count = len(topic.exercises)
    exercises = "1 exercise" if count == 1 else f"{count} exercises"
    return f"- [{topic.title}]({topic.slug}.ipynb): {topic.summary} *{topic.minutes} minutes, {exercises}*"
