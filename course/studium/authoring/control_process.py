"""The child process of ``control``: runs each experiment at smoke with building blocks that do nothing."""

import functools
import io
import math
import sys
from collections.abc import Callable
from typing import Any

import msgspec

from studium.authoring.idle import idle
from studium.catalogue.catalogue import load_catalogue
from studium.exercises.model import AnyFunction
from studium.experiments.building_blocks import building_blocks, experiments
from studium.topics.claims import Claim
from studium.topics.profiles import Profile
from studium.topics.topic import Topic
from studium.workers.forks import one_thread, run_forked
from studium.workers.job import Tell

LIMIT = 120  # seconds for each run
ALL = ""


class Run(msgspec.Struct):
    """What each claim measured in one run (None: no number), and how often the experiment called its blocks."""

    values: list[float | None]
    calls: int


class Controlled(msgspec.Struct):
    """An experiment, the exercises it takes, what its claims measure for a bare object, and its runs.

    A run is None if it failed or took too long. ``runs`` has the run with all blocks idle under ALL and, if every claim
    holds even then, the runs with one idle block under that block's name.
    """

    experiment: str
    blocks: list[str]
    of_nothing: list[float | None]
    runs: dict[str, Run | None] = {}


_runs = msgspec.msgpack.Decoder(Run)


def control(topic: Topic) -> list[Controlled]:
    """Run every experiment of a topic that takes exercises, with these exercises idle."""
    everything = [(experiment, claims) for experiment, claims in experiments(topic)]
    found = [_controlled(topic, experiment, claims) for experiment, claims in everything]
    _run(topic, found, [(number, ALL) for number, one in enumerate(found) if one.blocks])
    unmoved = [number for number, one in enumerate(found) if len(one.blocks) > 1 and _holds(everything[number][1], one)]
    _run(topic, found, [(number, block) for number in unmoved for block in found[number].blocks])
    return found


def fails(claim: Claim, value: float | None) -> bool:
    """Return whether a measured value refutes a claim, whatever the profile; None refutes it."""
    if value is None or math.isnan(value):
        return True
    return value > claim.threshold if claim.at_least is None else value < claim.threshold


def _holds(claims: list[Claim], one: Controlled) -> bool:
    run = one.runs[ALL]
    return run is not None and not any(map(fails, claims, run.values))


def _controlled(topic: Topic, experiment: Callable[..., Any], claims: list[Claim]) -> Controlled:
    blocks = [name for name in building_blocks(topic, experiment) if name in topic.exercises]
    return Controlled(experiment.__name__, blocks, [_measured(claim, object()) for claim in claims])


def _run(topic: Topic, found: list[Controlled], wanted: list[tuple[int, str]]) -> None:
    tasks = [((number, which), LIMIT, functools.partial(_job, topic, number, which)) for number, which in wanted]
    for (number, which), run in run_forked(tasks, _runs):
        found[number].runs[which] = run


def _job(topic: Topic, number: int, which: str) -> Run:
    """Run one experiment with all its blocks idle, or with one of them idle."""
    sys.stdout = sys.stderr = io.StringIO()  # until the process ends
    experiment, claims = list(experiments(topic))[number]
    names = [name for name in building_blocks(topic, experiment) if name in topic.exercises]
    called: list[str] = []
    blocks = {
        name: _noted(name, idle(block) if which in (ALL, name) else block, called) if name in names else block
        for name, block in building_blocks(topic, experiment).items()
    }
    result = experiment(**blocks, profile=Profile("smoke"), seed=0)
    return Run([_measured(claim, result) for claim in claims], len(called))


def _noted(name: str, block: AnyFunction, called: list[str]) -> AnyFunction:
    @functools.wraps(block)
    def noted(*args: Any, **kwargs: Any) -> Any:
        called.append(name)
        return block(*args, **kwargs)

    return noted


def _measured(claim: Claim, result: object) -> float | None:
    try:
        value = float(claim.measure(result))
    except Exception:  # the result of idle blocks may have any form
        return None
    return value if math.isfinite(value) else None


def work(slug: str, tell: Tell) -> None:
    """Tell the results of the runs of each of a topic's experiments."""
    topic = load_catalogue()[slug]
    topic.claims  # noqa: B018 - imports torch, as a rule
    one_thread()
    for found in control(topic):
        tell(found)
