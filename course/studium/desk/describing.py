"""Descriptions of topics, cached on disk so neither the server nor a command has to import torch to show them."""

import contextlib
import sys
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import msgspec

from studium.catalogue.catalogue import Catalogue, load_catalogue
from studium.desk.description import Description, describe
from studium.desk.places import data_folder
from studium.desk.stamps import digest, installed, place
from studium.errors import StudiumError
from studium.notebooks.files import write_text
from studium.topics.topic import Topic
from studium.workers.job import Tell
from studium.workers.program import DiedError, results

# Created here and not in threads: if two threads build msgspec's decoder for a type at once, the process crashes.
_topic, _told = msgspec.json.Decoder(Description), msgspec.msgpack.Decoder(Description)
_SECONDS = 600.0
_BELIEVED_SECONDS = 60.0  # seconds to keep a problem: its cause may lie outside the topic, such as a missing package


def descriptions(catalogue: Catalogue) -> dict[str, Description]:
    """Describe every topic of a catalogue, by slug. New or changed topics are read in a separate process."""
    return _described(catalogue, catalogue.lessons)


def description_of(catalogue: Catalogue, slug: str) -> Description:
    """Describe one topic; raise StudiumError if it cannot be used."""
    found = _described(catalogue, [catalogue[slug]])[slug]
    if found.problem:
        raise StudiumError(found.problem)
    return found


def _described(catalogue: Catalogue, topics: Iterable[Topic]) -> dict[str, Description]:
    host = installed(catalogue)
    paths = {topic.slug: _path(topic, host) for topic in topics}
    found = {slug: known for slug, path in paths.items() if (known := _read(path))}
    missing = [slug for slug in paths if slug not in found]
    for new in _read_topics(catalogue, missing):
        found[new.slug] = new
        _keep(new, paths[new.slug])
    return {slug: found.get(slug, Description(slug, problem=f"topic {slug} could not be read")) for slug in paths}


def _read_topics(catalogue: Catalogue, slugs: list[str]) -> list[Description]:
    if not slugs:
        return []
    if "torch" in sys.modules:  # the slow import has been paid for
        return [describe(catalogue[slug], catalogue.manager) for slug in slugs]
    try:
        return results(partial(_tell_topics, slugs), _told, limit=_SECONDS)
    except DiedError as error:
        raise StudiumError(f"the topics could not be read: {error}; see `studium doctor`") from error
    except TimeoutError:
        raise StudiumError(f"the topics could not be read in {_SECONDS:g} s; is the machine very busy?") from None


def _tell_topics(slugs: list[str], tell: Tell) -> None:
    known = load_catalogue()
    for slug in slugs:
        tell(describe(known[slug], known.manager))


def _read(path: Path) -> Description | None:
    with contextlib.suppress(OSError, msgspec.DecodeError):
        known = _topic.decode(path.read_bytes())
        if not known.problem or time.time() - path.stat().st_mtime < _BELIEVED_SECONDS:
            return known
    return None


def _keep(description: Description, path: Path) -> None:
    with contextlib.suppress(OSError):  # then it is only slower
        write_text(msgspec.json.encode(description).decode(), path)
        for old in path.parent.glob(f"{path.stem.rpartition('.')[0]}.*.json"):
            if old != path:
                old.unlink(missing_ok=True)


def _path(topic: Topic, host: bytes) -> Path:
    """Return the file for a topic's description, whose name changes with the topic's place and files."""
    return data_folder() / "topics" / f"{topic.slug}.{place(topic.package)}.{digest(topic.package, host)}.json"
