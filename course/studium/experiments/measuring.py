"""Run a topic's experiments in fresh processes, and judge its claims."""

import sys
import time
from collections.abc import Iterator, Sequence
from functools import partial

import msgspec

from studium.catalogue.catalogue import load_catalogue
from studium.errors import TopicError
from studium.experiments.building_blocks import experiments, run_experiment
from studium.topics.profiles import Profile
from studium.topics.published import BesidePaper
from studium.topics.topic import Topic
from studium.workers.job import Tell
from studium.workers.program import DiedError, results


class ClaimResult(msgspec.Struct, frozen=True):
    """One claim: ``measured`` is the worst over the seeds; ``seconds`` is the time of all seeds together.

    ``holds`` is None if the profile is too small to judge the claim. Claims of one experiment share its run, and so its
    ``seconds`` and ``peak_mb`` (resident memory of the process). ``published`` has the paper's numbers for the same
    comparison, if the claim gives some, next to ours, which are means over the seeds.
    """

    topic: str
    claim: str
    paper: str
    measured: float
    threshold: float
    holds: bool | None
    seconds: float
    peak_mb: float
    profile: str
    device: str
    by_seed: list[float]
    published: BesidePaper | None = None


_told = msgspec.msgpack.Decoder(list[ClaimResult] | str)


def reproduce(
    topic: Topic,
    profile: Profile,
    seeds: Sequence[int],
    wanted: Sequence[int] | None = None,
    threads: int | None = None,
) -> Iterator[ClaimResult]:
    """Measure each experiment of a topic in a separate process; return the results of its claims.

    ``wanted`` selects experiments by their position in ``experiments``; ``threads`` limits torch's threads, and None
    leaves the choice to torch.
    """
    for index in range(len(list(experiments(topic)))) if wanted is None else wanted:
        try:
            (told,) = results(partial(_tell, topic.slug, index, profile, list(seeds), threads), _told)
        except DiedError as error:
            raise TopicError(
                f"an experiment of {topic.slug} ended early: {error}; a smaller profile needs less memory and time"
            ) from None
        if isinstance(told, str):
            raise TopicError(told)
        yield from told


def _tell(slug: str, index: int, profile: Profile, seeds: list[int], threads: int | None, tell: Tell) -> None:
    try:
        tell(_measure(slug, index, profile, seeds, threads))
    except TopicError as error:
        tell(str(error))


def _measure(slug: str, index: int, profile: Profile, seeds: list[int], threads: int | None) -> list[ClaimResult]:
    topic = load_catalogue()[slug]
    experiment, claims = list(experiments(topic))[index]
    if threads and (torch := sys.modules.get("torch")):
        torch.set_num_threads(threads)
    start = time.perf_counter()
    try:
        results = [run_experiment(topic, experiment, profile, seed) for seed in seeds]
        figures = [[float(claim.measure(result)) for result in results] for claim in claims]
        papers = [claim.beside_paper(results, profile) for claim in claims]
    except TopicError:
        raise
    except Exception as error:
        raise TopicError(
            f"experiment {experiment.__name__} of {slug} failed: {type(error).__name__}: {error}"
        ) from None
    seconds, peak = time.perf_counter() - start, peak_mb()
    rows = []
    for claim, measured, paper in zip(claims, figures, papers, strict=True):
        worst = claim.worst(measured)
        held = claim.holds(worst, profile)
        bound = (claim.threshold, held, round(seconds, 2), round(peak, 1))
        run = (profile.name, profile.device, measured, paper)
        rows.append(ClaimResult(slug, claim.text, claim.paper, worst, *bound, *run))
    return rows


def peak_mb(*, children: bool = False) -> float:
    """Return the peak resident memory of this process, or of a finished child if that is more, in MB."""
    if sys.platform == "win32":
        import psutil

        return float(psutil.Process().memory_info().peak_wset) / 2**20
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    processes = (resource.RUSAGE_SELF, *((resource.RUSAGE_CHILDREN,) if children else ()))
    return max(resource.getrusage(process).ru_maxrss for process in processes) * unit / 2**20
