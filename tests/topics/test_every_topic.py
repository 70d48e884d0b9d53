"""What must hold for every topic of ours: the checks of `studium topic check`, and what we ask of ourselves besides."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Sequence

import pytest
from studium.authoring import answers, secrecy
from studium.authoring.metadata import PLACE
from studium.authoring.runner import checks_of
from studium.authoring.subject import Subject
from studium.catalogue.catalogue import load_catalogue
from studium.exercises.checking import check
from studium.exercises.model import Exercise
from studium.experiments.building_blocks import experiments, run_experiment
from studium.topics.profiles import Profile
from studium.topics.topic import Topic

CATALOGUE = load_catalogue()
SUBJECTS = [
    Subject(entry.topic, CATALOGUE, Profile("smoke")) for entry in CATALOGUE.entries if entry.distribution == "studium"
]
HERE_ALREADY = ("own tests", "tests run apart")  # collected with these tests; tested with the graders
TRIED = "span-corruption"  # the topic on which every run tries what takes long
# Each runs the tests many times, but "test cells", which runs them once more, and "imports", which starts programs.
SLOW = (
    "imports",
    *("misconceptions", "repeatability", "robustness", "test cells"),
    *("tolerances", "vacuous answers", "promises"),
)


each_topic = pytest.mark.parametrize("subject", SUBJECTS, ids=[s.topic.slug for s in SUBJECTS])
each_topic_at_night = pytest.mark.parametrize(
    "subject",
    [pytest.param(s, id=s.topic.slug, marks=[] if s.topic.slug == TRIED else [pytest.mark.heavy]) for s in SUBJECTS],
)
each_check_apart = pytest.mark.parametrize(
    ("subject", "name"),
    [
        pytest.param(s, check.name, id=f"{s.topic.slug}-{check.name}")
        for s in SUBJECTS
        for check in checks_of(s)
        if check.apart and check.name not in HERE_ALREADY
    ],
)


def faults(subject: Subject, names: Sequence[str]) -> dict[str, list[str]]:
    """Return the problems and the advice of each of these checks that has some."""
    findings = {check.name: check.run(subject) for check in checks_of(subject) if check.name in names}
    said = {name: [*finding.problems, *finding.advice] for name, finding in findings.items()}
    return {name: lines for name, lines in said.items() if lines}


@each_topic
def test_the_topic_passes_the_quick_checks_and_has_the_form_that_we_ask_of_ours(subject, monkeypatch):
    monkeypatch.setattr(answers, "DRAWS", 1)
    quick = [check.name for check in checks_of(subject) if not check.apart and check.name not in SLOW]
    assert faults(subject, quick) == {}
    assert [fault for exercise in subject.exercises for fault in of_an_exercise(exercise)] == []
    if not subject.topic.opener:
        assert of_a_lesson(subject.topic) == []


@pytest.mark.timeout(900)
@each_topic_at_night
def test_the_topic_passes_the_checks_that_run_its_tests_many_times(subject):
    assert faults(subject, SLOW) == {}


@pytest.mark.heavy
@each_topic
def test_the_right_answers_are_right_on_every_draw(subject):
    assert faults(subject, ["solutions"]) == {}


@each_topic_at_night
def test_what_learners_read_of_the_topic_gives_nothing_away(subject):
    assert list(secrecy.told(subject, secrecy.answers_of(subject.topic))) == []


@pytest.mark.heavy
@each_check_apart
def test_the_topic_passes_the_check_in_processes_of_its_own(subject, name):
    assert faults(subject, [name]) == {}


OLDER = ("albert", "encoder-only", "llm-evaluation-metrics", "roberta", "span-corruption")
NEWER = (
    *("cfg", "clip", "controlnet", "decoder-only", "encoder-decoder", "glip", "kv-caching", "latent-diffusion"),
    *("linformer", "mqa-gqa", "rope", "speculative-decoding", "swiglu", "text-to-image"),
)
SEEDS = dict.fromkeys(OLDER, 2) | dict.fromkeys(NEWER, 3)
"""The seeds for topics whose own tests do not measure their claims at laptop size."""


def broken_claims(slug: str, profile: Profile, seed: int) -> list[str]:
    """Return the claims that can be judged at a size and do not hold."""
    topic, broken = CATALOGUE[slug], []
    for run, judged in experiments(topic):
        result = run_experiment(topic, run, profile, seed)
        broken += [claim.text for claim in judged if claim.holds(claim.measure(result), profile) is False]
    return broken


@pytest.mark.heavy
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("slug", "seed"), SEEDS.items())
def test_every_claim_holds_at_laptop_size(slug, seed):
    assert broken_claims(slug, Profile("laptop"), seed) == []


@pytest.mark.parametrize("slug", OLDER)
def test_the_exact_claims_hold_at_the_smallest_size(slug):
    assert broken_claims(slug, Profile("smoke"), 1) == []


@each_topic_at_night
def test_a_named_mistake_loses_a_hidden_test(subject):
    for exercise in subject.exercises:
        hidden = {test.name for test in exercise.tests if test.hidden}
        for misconception in exercise.misconceptions:
            result = check(subject.topic.slug, exercise, misconception.function, seconds=0)
            assert hidden & {test.name for test in result.tests if not test.passed}, misconception.message


def of_a_lesson(topic: Topic) -> list[str]:
    """A lesson has papers, claims and five exercises."""
    whole = topic.papers and topic.claims and len(topic.exercises) >= 5
    missing = [] if whole else ["papers, claims or exercises are missing"]
    return [*missing, *of_the_experiments(topic), *of_published_numbers(topic)]


def of_an_exercise(exercise: Exercise) -> Iterator[str]:
    """An exercise has two hints and three mistakes, and its cell starts with the code that has the bug."""
    if len(exercise.hints) < 2 or len(exercise.misconceptions) < 3:
        yield f"{exercise.id}: two hints, three mistakes"
    if (exercise.kind == "find the bug") != bool(exercise.shows) or (exercise.shows and "```" in exercise.statement):
        yield f"{exercise.id}: the code with the bug is in the cell, and not in the statement"


def of_the_experiments(topic: Topic) -> Iterator[str]:
    """Experiments take their blocks from the reference."""
    reference = topic.module("reference")
    for experiment, _ in experiments(topic):
        parameters = inspect.signature(experiment).parameters.values()
        wanted = {p.name for p in parameters if p.default is p.empty} - {"profile", "seed"}
        missing = [name for name in wanted if not hasattr(reference, name)]
        if missing or not {"profile", "seed"} <= {p.name for p in parameters}:
            yield f"{experiment.__name__} needs profile and seed, and of the reference {missing}"


PRINTED = {"cfg": "for w, fid, score, other, another in PAPER"}
"""Lessons that print a paper's whole table from a constant, and the line that does."""


def of_published_numbers(topic: Topic) -> Iterator[str]:
    """A paper's numbers name their place, and stand in the lesson."""
    text = topic.lesson.read_text("utf-8")
    for published in filter(None, (claim.published for claim in topic.claims)):
        missing = {abs(number) for number in published.values.values() if number} - _numbers(text)
        if not PLACE.search(published.source) or (missing and PRINTED.get(topic.slug, "no line") not in text):
            yield f"{published.source}: {missing}"


def _numbers(text: str) -> set[float]:
    return {float(number) for number in re.findall(r"\d+(?:\.\d+)?", text)}


def test_a_number_stands_in_a_text_only_as_a_whole():
    assert _numbers("| 170.4 | 73.0 | 12M, of -1.731.") == {170.4, 73.0, 12.0, 1.731}
