"""The child process of ``secrecy``: runs the exercises' tests on the code that learners are shown."""

import contextlib
import functools
import io
import sys
from typing import Any

import msgspec

from studium.authoring.answers import solved_names
from studium.authoring.shown import RIGHT, WRONG, Shown
from studium.authoring.shown_code import definitions, shown_code
from studium.authoring.subject import Subject
from studium.catalogue.catalogue import load_catalogue
from studium.exercises.checking import run_test
from studium.exercises.sources import seed_of, unwritten
from studium.topics.profiles import Profile
from studium.workers.forks import one_thread, run_forked
from studium.workers.job import Tell

LIMIT = 60  # seconds for one answer
_verdicts = msgspec.msgpack.Decoder(str)


def try_shown(subject: Subject) -> list[Shown]:
    """Run the tests on everything that is shown and could be an answer."""
    names = solved_names(subject.topic)
    for text in definitions(subject):
        with contextlib.suppress(Exception):  # what it needs may be defined by its own cell
            exec(text, names)  # noqa: S102 - the author's own text
    found = list(dict.fromkeys(shown_code(subject)))
    tasks = [(shown, LIMIT, functools.partial(_verdict, subject, shown, names)) for shown in found]
    return [msgspec.structs.replace(shown, verdict=verdict or "") for shown, verdict in run_forked(tasks, _verdicts)]


def _verdict(subject: Subject, shown: Shown, names: dict[str, Any]) -> str:
    """Try one answer. The exercise itself is not defined: code that calls it gives nothing away."""
    sys.stdout = sys.stderr = io.StringIO()  # until the process ends
    topic, exercise = subject.topic, subject.topic.exercise(shown.exercise)
    try:
        exec(unwritten(exercise), names)  # noqa: S102 - the author's own text
        exec(shown.answer, names)  # noqa: S102
    except Exception:
        return ""
    function = names[exercise.id]
    errors = (run_test(test, function, seed_of(topic.slug, exercise, test)).error for test in exercise.tests)
    failed = next(filter(None, errors), None)
    return "" if isinstance(failed, NameError) else WRONG if failed else RIGHT


def work(slug: str, names: tuple[str, ...], tell: Tell) -> None:
    """Tell each piece of code that was tried, with its verdict."""
    catalogue = load_catalogue()
    subject = Subject(catalogue[slug], catalogue, Profile("smoke"), chosen=names)
    subject.topic.exercises  # noqa: B018 - imports torch, as a rule
    one_thread()
    for shown in try_shown(subject):
        tell(shown)
