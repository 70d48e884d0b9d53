"""Measure the labels of a topic, for its exercises and its lesson's experiments, in a separate process."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import msgspec

from studium.catalogue.catalogue import load_catalogue
from studium.desk.check_process import prepare, prepare_topic
from studium.desk.labels import Label
from studium.errors import StudiumError
from studium.exercises.checking import check
from studium.experiments.measuring import peak_mb
from studium.notebooks.cell_ids import cell_id
from studium.notebooks.editions import compile_solution, role
from studium.topics.profiles import VARIABLE, Profile
from studium.topics.topic import Topic
from studium.workers.job import Tell
from studium.workers.program import DiedError, results

_told = msgspec.msgpack.Decoder(Label)


def measure(topic: Topic, profile: Profile) -> list[Label]:
    """Measure each exercise and each experiment of a lesson once, with the lesson's own solutions."""
    try:
        return results(partial(_tell_labels, topic.slug, profile.name), _told, {VARIABLE: profile.name})
    except DiedError as error:
        raise StudiumError(f"{topic.slug} could not be measured: {error}; try --profile smoke") from None


def _tell_labels(slug: str, profile: str, tell: Tell) -> None:
    for label in _labels(slug, profile):
        tell(label)


def _labels(slug: str, profile: str) -> Iterator[Label]:
    """Measure in this process: exercises first, then the cells of the solved lesson in order."""
    catalogue, shell = load_catalogue(), prepare()
    topic = catalogue[slug]
    for item in prepare_topic(topic).values():
        seconds, mb = _measured(lambda item=item: check(slug, item, item.solution))  # type: ignore[misc]
        yield Label(slug, cell_id(slug, item.id), seconds, mb, profile, item.id)
    for cell in compile_solution(topic, catalogue.manager).cells:
        if cell.cell_type != "code" or role(cell) == "check":
            continue
        seconds, mb = _measured(lambda cell=cell: shell.run_cell(cell.source).raise_error())  # type: ignore[misc]
        if role(cell) == "experiment":
            yield Label(slug, cell.id, seconds, mb, profile)


def _measured(work: Callable[[], object]) -> tuple[float, float]:
    """Return how many seconds some work takes, and the process's peak memory during it, in MB."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # the peak so far is reset
    start = time.perf_counter()
    work()
    return round(time.perf_counter() - start, 3), round(_largest_mb(), 1)


def _largest_mb() -> float:
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return peak_mb()
