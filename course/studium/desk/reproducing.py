"""Run the experiments of many topics in parallel; results are kept, so a run that was stopped can continue."""

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import msgspec

from studium.catalogue.catalogue import Catalogue
from studium.desk.places import data_folder
from studium.desk.stamps import digest, installed
from studium.errors import TopicError
from studium.experiments.building_blocks import experiments
from studium.experiments.measuring import ClaimResult, reproduce
from studium.notebooks.files import write_text
from studium.topics.profiles import Profile
from studium.topics.topic import Topic

_results = msgspec.json.Decoder(list[ClaimResult])


@dataclass(frozen=True)
class Run:
    """One experiment of a topic with all seeds. The file ``kept`` for its results depends on the code."""

    topic: Topic
    index: int
    profile: Profile
    seeds: Sequence[int]
    kept: Path


def runs_of(catalogue: Catalogue, topic: Topic, profile: Profile, seeds: Sequence[int]) -> Iterator[Run]:
    """Return the runs of a topic, one for each of its experiments."""
    stamp = digest(topic.package.partition(".")[0], installed(catalogue))  # including what topics of one package share
    for index, (experiment, _) in enumerate(experiments(topic)):
        setting = f"{topic.slug}.{experiment.__name__}.{profile.name}.{profile.device}.{len(seeds)}"
        yield Run(topic, index, profile, seeds, data_folder() / "measured" / f"{setting}.{stamp}.json")


def measure(runs: Iterable[Run], *, jobs: int = 1, resume: bool = False) -> Iterator[list[ClaimResult] | TopicError]:
    """Yield the results of each run, or why it failed, in order; ``jobs`` of them run at a time.

    If several run at once, each gets a share of the processors. With ``resume``, whatever an earlier call measured with
    the same code is not run again.
    """
    threads = None if jobs == 1 else max(1, (os.cpu_count() or 1) // jobs)
    with ThreadPoolExecutor(jobs) as pool:
        try:
            yield from pool.map(lambda run: (resume and _read(run.kept)) or _measure(run, threads), runs)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _measure(run: Run, threads: int | None) -> list[ClaimResult] | TopicError:
    try:
        results = list(reproduce(run.topic, run.profile, run.seeds, [run.index], threads))
    except TopicError as error:
        return error
    _keep(results, run.kept)
    return results


def _read(path: Path) -> list[ClaimResult]:
    with contextlib.suppress(OSError, msgspec.DecodeError):
        return _results.decode(path.read_bytes())
    return []


def _keep(results: list[ClaimResult], path: Path) -> None:
    setting = path.name.rpartition(".json")[0].rpartition(".")[0]
    with contextlib.suppress(OSError):  # then it is only measured again
        write_text(msgspec.json.encode(results).decode(), path)
        for old in path.parent.glob(f"{setting}.*.json"):
            if old != path:
                old.unlink(missing_ok=True)
