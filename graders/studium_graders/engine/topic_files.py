"""The files of installed topics as a student's process may see them: the public edition, and no solutions."""

from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from studium.catalogue import load_catalogue
from studium.errors import StudiumError

from studium_graders.engine.sandbox import hidden_paths
from studium_graders.public_exercises import public_source


class TopicFiles(NamedTuple):
    """``hidden`` must not be seen. ``replaced`` pairs an ``exercises.py`` with its public edition."""

    hidden: tuple[str, ...]
    replaced: tuple[tuple[str, str], ...]


def topic_files(folder: Path) -> TopicFiles:
    """Write the public editions of all installed topics into ``folder``; nothing of a topic is run.

    A topic whose exercises have no public edition is hidden and that is all.
    """
    topics = [Path(str(files(topic.package))) for topic in load_catalogue().topics]
    places = [topic for topic in topics if (topic / "exercises.py").is_file()]
    made = ((place / "exercises.py", folder / f"{place.name}-{n}.py") for n, place in enumerate(places))
    replaced = tuple((str(secret), str(public)) for secret, public in made if _publish(secret, public))
    covered = {secret for secret, _ in replaced}
    return TopicFiles(tuple(path for path in hidden_paths(topics) if path not in covered), replaced)


def _publish(secret: Path, public: Path) -> bool:
    try:
        public.write_text(public_source(secret.read_text("utf-8"), str(secret)), "utf-8")
    except StudiumError:
        return False
    public.chmod(0o444)
    return True
