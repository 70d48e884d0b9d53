"""One round of ``watching``, in a fork of a process that has imported torch; the topic is imported only in the fork."""

import contextlib
import os
import tempfile
from pathlib import Path

import msgspec

from studium.authoring.findings import CheckResult, Mutants
from studium.authoring.lesson_process import Event
from studium.authoring.preview import preview_page
from studium.authoring.runner import check_topic
from studium.authoring.subject import open_subject
from studium.errors import StudiumError
from studium.topics.profiles import choose_profile
from studium.workers.job import Tell


class Round(msgspec.Struct):
    """What to check: the checks in ``only`` (all if empty) of these ``exercises``; those in ``known`` need not run.

    The file ``outputs`` keeps what the lesson showed in its last run.
    """

    number: int
    target: str
    outputs: str
    profile: str = "smoke"
    only: list[str] = []
    exercises: list[str] = []
    known: list[str] = []


class Told(msgspec.Struct):
    """An event of a round: the lesson's page, a check's result, the mutants, or the end of the round."""

    number: int
    page: str = ""
    result: CheckResult | None = None
    mutants: Mutants | None = None
    over: bool = False


def warm_up(tell: Tell) -> None:
    """Import what any topic's round needs."""
    import jupytext  # noqa: F401
    import plotly.graph_objects  # noqa: F401
    import torch

    torch.set_num_threads(1)  # a process that forks must not have threads


def serve(asked: Round, tell_event: Tell) -> None:
    """Carry out one round. Its temporary files lie next to ``outputs``: a round that is ended cannot remove them."""
    tempfile.tempdir = os.environ["TMPDIR"] = str(Path(asked.outputs).parent)

    def tell(**event: object) -> None:
        tell_event(Told(asked.number, **event))  # type: ignore[arg-type]

    try:
        with open_subject(asked.target, choose_profile(asked.profile)) as subject:
            subject.chosen = tuple(asked.exercises)
            kept = Path(asked.outputs)
            before = msgspec.json.decode(kept.read_bytes(), type=list[Event]) if kept.is_file() else []

            def show(run: list[Event]) -> None:
                tell(page=preview_page(subject.topic, subject.lesson, run, asked.profile))

            def note(result: CheckResult) -> None:
                tell(result=result)
                if result.name == "lesson":
                    kept.write_bytes(msgspec.json.encode(subject.lesson_run.events))
                    show(subject.lesson_run.events)

            with contextlib.suppress(StudiumError):
                show(before)

            report = check_topic(subject, only=asked.only, known=asked.known, tell=note)
            tell(mutants=report.mutants)
    except StudiumError as error:
        tell(result=CheckResult("imports", False, str(error)))
    tell(over=True)
