"""Run the checks of a topic: which exist, which depend on which, and what can run in parallel."""

import contextlib
import io
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from studium.authoring import (
    answers,
    building,
    control,
    copies,
    imports,
    ladder,
    lesson_check,
    lesson_forms,
    links,
    metadata,
    mistakes,
    mutants,
    notation,
    offline,
    plain_english,
    promises,
    prose,
    publishing,
    reference_answers,
    repeatability,
    secrecy,
    tolerances,
    vacuous_answers,
)
from studium.authoring.blockade import BLOCKADE
from studium.authoring.findings import CheckResult, Finding, Mutants, Report, TopicCheck
from studium.authoring.subject import Subject
from studium.errors import StudiumError, UnknownNameError

_BUILDS = ("imports",)
_RIGHT = ("imports", "solutions")
_OF_LESSONS = ("lesson forms", "ladder", "reading time")
OWN_CHECKS = (
    TopicCheck("imports", imports.imports),
    TopicCheck("metadata", metadata.metadata, _BUILDS),
    TopicCheck("prerequisites", metadata.prerequisites),
    TopicCheck("names", metadata.unique_names, _BUILDS),
    TopicCheck("exercise parts", metadata.exercise_parts, _BUILDS),
    TopicCheck("solutions", answers.right_answers, _BUILDS),
    TopicCheck("robustness", answers.robust_answers, _RIGHT),
    TopicCheck("stubs", answers.untouched_stubs, _RIGHT),
    TopicCheck("misconceptions", mistakes.misconceptions, _RIGHT),
    TopicCheck("test cells", mistakes.test_cells, _RIGHT),
    TopicCheck("repeatability", repeatability.repeatability, _RIGHT),
    TopicCheck("tolerances", tolerances.tolerances, ("imports", "solutions", "repeatability")),
    TopicCheck("vacuous answers", vacuous_answers.vacuous_answers, _RIGHT),
    TopicCheck("promises", promises.promises, _RIGHT),
    TopicCheck("reference", reference_answers.reference, _RIGHT),
    TopicCheck("copies", copies.copies, ("imports", "solutions", "reference")),
    TopicCheck("spelling", prose.spelling, _BUILDS),
    TopicCheck("papers", links.papers, _BUILDS),
    TopicCheck("links", links.links, _BUILDS),
    TopicCheck("alternative texts", prose.alternative_texts, _BUILDS),
    TopicCheck("headings", prose.headings, _BUILDS),
    TopicCheck("reading time", prose.reading_time, _BUILDS),
    TopicCheck("lesson forms", lesson_forms.lesson_forms, _BUILDS),
    TopicCheck("ladder", ladder.ladder, _BUILDS),
    TopicCheck("notation", notation.notation, _BUILDS),
    TopicCheck("plain English", plain_english.plain_english, _BUILDS),
    TopicCheck("mutants", mutants.mutants, _RIGHT, apart=True),
    TopicCheck("lesson", lesson_check.lesson, _RIGHT, apart=True),
    TopicCheck("tests can fail", mistakes.failing_tests, _RIGHT, apart=True),
    TopicCheck("secrecy", secrecy.secrecy, _BUILDS, apart=True),
    TopicCheck("offline", offline.offline, _BUILDS, apart=True),
    TopicCheck("cell ids", building.cell_ids, _BUILDS, apart=True),
    TopicCheck("own tests", reference_answers.own_tests, ("imports", "solutions", "reference"), apart=True),
    TopicCheck("claims", reference_answers.claims, ("imports", "solutions", "reference"), apart=True),
    TopicCheck("control", control.control, ("imports", "solutions", "reference"), apart=True),
)

BEFORE_PUBLISHING = (
    TopicCheck("wheel", publishing.wheel, _RIGHT, apart=True),
    TopicCheck("assignment", publishing.assignment, _RIGHT, apart=True),
)


def checks_of(subject: Subject) -> list[TopicCheck]:
    """Return the host's checks and those that plugins add; an opener need not have the form of a lesson."""
    own = [check for check in OWN_CHECKS if not (subject.topic.opener and check.name in _OF_LESSONS)]
    return [*own, *_plugged(subject), *(BEFORE_PUBLISHING if subject.publish else ())]


def _plugged(subject: Subject) -> Iterator[TopicCheck]:
    for added in subject.catalogue.manager.hook.studium_topic_checks(topic=subject.topic):
        for name, problems in added.items():
            yield TopicCheck(name, _finding(problems), _RIGHT, apart=True)


def _finding(problems: Callable[[], Iterable[str]]) -> Callable[[Subject], Finding]:
    return lambda subject: Finding(list(problems()), "no problems")


def check_topic(
    subject: Subject,
    *,
    only: Collection[str] = (),
    known: Collection[str] = (),
    jobs: int = 2,
    strict: bool = False,
    tell: Callable[[CheckResult], None] = lambda result: None,
) -> Report:
    """Run all checks, or those named in ``only`` and what they depend on; ``tell`` gets each result as it comes in.

    ``known`` names checks that are known to pass and need not be waited for. ``strict`` makes advice count as problems.
    A check that depends on a failed one would only repeat the failure, so it is left out. Raise UnknownNameError for an
    unknown check.
    """
    checks = _chosen(checks_of(subject), only, known)
    run = _Run(subject, strict, tell)
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        waiting: list[tuple[TopicCheck, Future[Finding]]] = []
        for check in sorted(checks, key=lambda check: check.apart):
            if any(run.failed(name) for name in check.after):
                run.waiting.append(check.name)
                continue
            if check.apart:
                waiting.append((check, pool.submit(_guarded, check, subject)))
            else:
                with contextlib.redirect_stdout(io.StringIO()), BLOCKADE:  # a topic may print
                    finding = _guarded(check, subject)
                subject.attempts += BLOCKADE.take()
                run.note(check, finding)
        for check, future in waiting:
            run.note(check, future.result())
    return run.report(checks)


def _chosen(checks: list[TopicCheck], only: Collection[str], known: Collection[str]) -> list[TopicCheck]:
    by_name = {check.name: check for check in checks}
    for name in only:
        if name not in by_name:
            raise UnknownNameError("check", name, by_name)
    waited_for = {before for name in only for before in by_name[name].after} - set(known)
    wanted = {*only, *waited_for} or set(by_name)
    return [check for check in checks if check.name in wanted]


def _guarded(check: TopicCheck, subject: Subject) -> Finding:
    """Run one check; an error becomes a problem of the topic, because it must not hide the other checks."""
    try:
        return check.run(subject)
    except StudiumError as error:
        return Finding([str(error)], "")
    except Exception as error:
        return Finding([f"this check could not run: {type(error).__name__}: {error}"], "")


class _Run:
    """The results so far."""

    def __init__(self, subject: Subject, strict: bool, tell: Callable[[CheckResult], None]) -> None:
        self.subject, self.strict, self.tell = subject, strict, tell
        self.results: dict[str, CheckResult] = {}
        self.mutants = Mutants()
        self.waiting: list[str] = []

    def failed(self, name: str) -> bool:
        return name in self.results and not self.results[name].passed

    def note(self, check: TopicCheck, finding: Finding) -> None:
        problems = [*finding.problems, *(finding.advice if self.strict else ())]
        advice = "" if self.strict else "\n".join(finding.advice)
        result = CheckResult(check.name, not problems, "\n".join(problems) or finding.summary, advice)
        self.results[check.name] = result
        self.mutants = finding.mutants or self.mutants
        self.tell(result)

    def report(self, checks: list[TopicCheck]) -> Report:
        results = [self.results[check.name] for check in checks if check.name in self.results]
        return Report(
            self.subject.topic.slug, all(result.passed for result in results), results, self.mutants, self.waiting
        )
