"""A learner's workspace: a folder with every lesson and a page to start from. Answers in it are never overwritten."""

from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from studium.catalogue import Catalogue
from studium.editions import compile_lesson
from studium.errors import StudiumError
from studium.notebooks import write_notebook, write_text
from studium.topic import Topic

START = "START.md"


@dataclass(frozen=True)
class Workspace:
    """A workspace folder; ``made`` lessons are new, ``kept`` ones were there with the learner's answers."""

    folder: Path
    made: list[str]
    kept: list[str]


def build_workspace(catalogue: Catalogue, folder: Path) -> Workspace:
    """Write the lessons that are not there yet, and the start page."""
    if folder.exists() and not folder.is_dir():
        raise StudiumError(f"the workspace must be a folder: {folder} is a file; name another with --course")
    made, kept = [], []
    for topic in catalogue.topics:
        path = folder / f"{topic.slug}.ipynb"
        if path.exists():
            kept.append(topic.slug)
        else:
            write_notebook(compile_lesson(topic, catalogue.manager), path)
            made.append(topic.slug)
    write_text(start_page(catalogue.topics), folder / START)
    return Workspace(folder, made, kept)


def start_page(topics: tuple[Topic, ...]) -> str:
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
    return f"- [{topic.title}]({topic.slug}.ipynb): {topic.summary} *{topic.minutes} minutes, {count} exercises*"
