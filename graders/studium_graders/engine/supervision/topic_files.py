"""The files of installed topics as a student's process may see them: the public edition, and no solutions."""

import sys
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from studium.catalogue.catalogue import load_catalogue
from studium.errors import StudiumError

from studium_graders.course.public_edition import exercise_sources, public_edition
from studium_graders.engine.material.assignment import Material
from studium_graders.engine.sandbox import hidden_paths


class TopicFiles(NamedTuple):
    """``hidden`` must not be seen. ``replaced`` pairs an ``exercises.py``, or a folder, with its public edition.

    ``packages`` are those in which the topics are.
    """

    hidden: tuple[str, ...]
    replaced: tuple[tuple[str, str], ...]
    packages: tuple[str, ...]


def topic_files(folder: Path, material: Material) -> TopicFiles:
    """Write the public editions of the topics that ``material`` names into ``folder``; nothing of them is run.

    An installed topic that it does not name, or whose exercises have no public edition, is hidden and that is all. So
    is a copy that Python does not import, for another one comes before it on its path: a student's code can read it.
    """
    cells = [cell for book in material.notebooks for cell in book.judged().cells]
    text = "\n".join(f"{cell.topic}\n{cell.source}\n{cell.reference}" for cell in cells)
    installed = {Path(str(files(topic.package))): topic for topic in load_catalogue().topics}
    topics = [*installed, *(copy for place, topic in installed.items() for copy in _copies(place, topic.package))]
    named = [place for place, topic in installed.items() if topic.slug in text or topic.package in text]
    made = (_publish(place, folder / f"{place.name}-{n}") for n, place in enumerate(named))
    replaced = tuple((str(secret), str(public)) for secret, public in filter(None, made))
    covered = {secret for secret, _ in replaced}
    packages = sorted({installed[place].package.partition(".")[0] for place in named})
    return TopicFiles(tuple(path for path in hidden_paths(topics) if path not in covered), replaced, tuple(packages))


def _copies(imported: Path, package: str) -> Iterator[Path]:
    """Return the other folders on Python's path in which a package lies."""
    places = (Path(entry).absolute().joinpath(*package.split(".")) for entry in dict.fromkeys(sys.path))
    return (place for place in places if place.is_dir() and place.resolve() != imported.resolve())


def _publish(topic: Path, folder: Path) -> tuple[Path, Path] | None:
    """Write what is public of a topic's exercises; return their file or folder, and its public edition."""
    try:
        public = public_edition(exercise_sources(topic), str(topic))
    except StudiumError:
        return None
    for name, text in public.items():
        path = folder / name
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        path.chmod(0o444)
    top = next((name.partition("/")[0] for name in public), "")
    return (topic / top, folder / top) if top else None
