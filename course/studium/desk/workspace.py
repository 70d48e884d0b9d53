"""A learner's workspace: a folder with every lesson and a start page. Answers in it are never overwritten."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

from studium.catalogue.catalogue import Catalogue
from studium.desk.base import with_base
from studium.desk.describing import descriptions
from studium.desk.description import Description
from studium.desk.places import mark_workspace
from studium.errors import StudiumError
from studium.notebooks.files import write_notebook, write_text
from studium.topics.topic import Topic

START = "START.md"


@dataclass(frozen=True)
class Workspace:
    """A workspace folder: new lessons, existing lessons with answers, and why some are missing."""

    folder: Path
    made: list[str]
    kept: list[str]
    problems: list[str]


def build_workspace(catalogue: Catalogue, folder: Path) -> Workspace:
    """Write the lessons that do not exist yet, and the start page.

    A topic that breaks its contract is noted, because it must not hide the others.
    """
    if folder.exists() and not folder.is_dir():
        raise StudiumError(f"the workspace must be a folder: {folder} is a file; name another with --course")
    described = descriptions(catalogue)
    problems = [one.problem for one in described.values() if one.problem]
    usable = [topic for topic in catalogue.lessons if not described[topic.slug].problem]
    kept = [topic.slug for topic in usable if (folder / f"{topic.slug}.ipynb").exists()]
    for topic in usable:
        add_lesson(folder, described[topic.slug])
    write_text(start_page((topic, described[topic.slug]) for topic in usable), folder / START)
    mark_workspace(folder)
    return Workspace(folder, [topic.slug for topic in usable if topic.slug not in kept], kept, problems)


def add_lesson(folder: Path, description: Description) -> str:
    """Write a lesson if it does not exist yet, with itself as the base of updates; return the file's name."""
    name = f"{description.slug}.ipynb"
    if not (folder / name).exists():
        lesson = with_base(description.lesson())
        lesson.metadata["language_info"] = _language_info()
        write_notebook(lesson, folder / name)
    return name


@cache
def _language_info() -> dict[str, Any]:
    """Return what the kernel reports about its language: with that in it, opening a notebook does not change it."""
    from ipykernel.ipkernel import IPythonKernel

    return dict(IPythonKernel.language_info)


def start_page(topics: Iterable[tuple[Topic, Description]]) -> str:
    """Write the start page: the topics by track in reading order, each with its number of exercises."""
    lines = [
        "# Studium",
        "",
        "Open a lesson, run its cells from the top, and write code where it says `YOUR CODE HERE`.",
        "",
    ]
    for track, members in groupby(topics, key=lambda member: member[0].track):
        lines += [f"## {track}", "", *(_line(topic, described) for topic, described in members), ""]
    return "\n".join(lines)


def _line(topic: Topic, described: Description) -> str:
    optional = sum(item.optional for item in described.exercises)
    count = len(described.exercises) - optional
    exercises = ("1 exercise" if count == 1 else f"{count} exercises") + (f", {optional} optional" if optional else "")
    return f"- [{topic.title}]({topic.slug}.ipynb): {topic.summary} *{topic.minutes} minutes, {exercises}*"
