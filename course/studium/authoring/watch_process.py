"""The warm child of ``watching``: it has imported torch, and forks itself for each round of checks.

The topic is imported only in the forks. A new round ends the one before. Rounds come in as JSON lines on standard
input; events go out as JSON lines on standard output.
"""

import contextlib
import os
import signal
import sys
from io import RawIOBase
from pathlib import Path

import msgspec

from studium.authoring.findings import CheckResult, Mutants
from studium.authoring.lesson_process import Event
from studium.authoring.preview import preview_page
from studium.authoring.runner import check_topic
from studium.authoring.subject import open_subject
from studium.errors import StudiumError
from studium.topics.profiles import choose_profile


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


def main() -> None:
    """Serve rounds until standard input ends."""
    events = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # a topic may print
    _warm_up()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps them
    running = 0
    for line in sys.stdin.buffer:
        _end(running)
        if (running := os.fork()) == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.setsid()
            try:
                _serve(msgspec.json.decode(line, type=Round), events)
            finally:
                os._exit(0)
    _end(running)


def _warm_up() -> None:
    import jupytext  # noqa: F401
    import plotly.graph_objects  # noqa: F401
    import torch

    torch.set_num_threads(1)  # a process that forks must not have threads


def _end(process: int) -> None:
    if process:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process, signal.SIGKILL)


def _serve(asked: Round, events: RawIOBase) -> None:
    def tell(**event: object) -> None:
        events.write(msgspec.json.encode(Told(asked.number, **event)) + b"\n")  # type: ignore[arg-type]

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


if __name__ == "__main__":
    main()
