"""The topic's metadata, its place among other topics, and the parts of its exercises."""

import re
from collections.abc import Iterator
from datetime import date

from studium.authoring.findings import Finding
from studium.authoring.subject import Subject
from studium.catalogue.catalogue import Entry
from studium.errors import suggestion
from studium.exercises.model import Exercise

PLACE = re.compile(r"\b(?:(?:table|figure|section) \w|abstract\b)", re.IGNORECASE)


def metadata(subject: Subject) -> Finding:
    """Check title, track, summary, minutes and papers, the papers of claims, and the sources of published numbers."""
    advice = list(_places(subject))
    return Finding(list(_metadata(subject)), "title, track, summary, minutes and papers are all given", advice=advice)


def _metadata(subject: Subject) -> Iterator[str]:
    topic = subject.topic
    for name in ("title", "track", "summary"):
        if not getattr(topic, name).strip():
            yield f"a topic needs a {name}: it is empty; write one in __init__.py"
    if not topic.summary.rstrip().endswith((".", "?", "!")):
        yield f"the summary must be a sentence that ends with a full stop: got {topic.summary!r}; end it"
    if topic.minutes <= 0:
        yield f"minutes must be the time for reading and working: got {topic.minutes}; give at least 1"
    for paper in topic.papers:
        if not 1900 <= paper.year <= date.today().year + 1:
            yield (
                f"the year of the paper {paper.title!r} must be a year in which it can have appeared: got "
                f"{paper.year}; correct it"
            )
    known = {paper.arxiv for paper in topic.papers}
    for claim in topic.claims:
        if claim.paper not in known:
            yield (
                f"the claim {claim.text!r} names {claim.paper}, which is not one of the topic's papers; add it to "
                f"papers"
            )


def _places(subject: Subject) -> Iterator[str]:
    """Find published numbers that cannot be looked up, because their source names no place in the paper."""
    for claim in subject.topic.claims:
        if claim.published and not PLACE.search(claim.published.source):
            yield (
                f"the published numbers of the claim {claim.text!r} need the table, figure or section they come from: "
                f"got {claim.published.source!r}; name it, as in 'Hu et al. 2021, Table 5'"
            )


def prerequisites(subject: Subject) -> Finding:
    """Check that all prerequisites exist and do not form a cycle."""
    return Finding(list(_prerequisites(subject)), "all prerequisites are known and form no cycle")


def _prerequisites(subject: Subject) -> Iterator[str]:
    slugs = [topic.slug for topic in subject.catalogue.topics]
    for need in subject.topic.needs:
        if need not in slugs:
            yield f"needs names {need!r}, but no installed topic has that slug; {suggestion(need, slugs)}"
    for problem in subject.catalogue.problems:
        if problem.slug == subject.topic.slug and not problem.clash:
            yield problem.error


def unique_names(subject: Subject) -> Finding:
    """Check that the slug is unique, and that each exercise has a unique name and is in the right file."""
    return Finding(list(_unique_names(subject)), "the slug is unique, and so is each exercise's name")


def _unique_names(subject: Subject) -> Iterator[str]:
    owners: list[Entry] = [entry for entry in subject.catalogue.entries if entry.topic.slug == subject.topic.slug]
    for entry in owners[1:]:
        yield f"the slug {subject.topic.slug!r} is already used by {entry.distribution}; choose another"
    for exercise in subject.exercises:
        if exercise.file.read_text("utf-8").count(f"\ndef {exercise.id}(") > 1:
            file = exercise.file_name
            yield f"the exercise {exercise.id} is defined twice in {file}, and the first definition is lost; rename one"
    if (subject.folder / "exercises").is_dir() and subject.topic.exercises:
        yield from _misplaced(subject)


def _misplaced(subject: Subject) -> Iterator[str]:
    """Report exercises in a file with another name, and files that the tuple ``exercises`` does not list."""
    names = [exercise.file_name for exercise in subject.topic.exercises.values()]
    for name, exercise in subject.topic.exercises.items():
        if exercise.file_name != f"exercises/{name}.py":
            yield f"the exercise {name} must be in exercises/{name}.py: it is in {exercise.file_name}; move it there"
    for path in sorted((subject.folder / "exercises").glob("*.py")):
        if not path.name.startswith("_") and f"exercises/{path.name}" not in names:
            yield (
                f"exercises/{path.name} must be listed: the tuple in exercises/__init__.py has no exercise from it; "
                f"add it, or begin the file's name with an underscore"
            )


def exercise_parts(subject: Subject) -> Finding:
    """Check that every exercise has tests of both kinds, a hint, a misconception and another correct answer."""
    problems = [problem for exercise in subject.exercises for problem in _missing(exercise)]
    return Finding(problems, "each exercise has all its parts")


def _missing(exercise: Exercise) -> Iterator[str]:
    parts = {
        "a test that learners see (@{}.test)": [test for test in exercise.tests if not test.hidden],
        "a hidden test (@{}.hidden)": [test for test in exercise.tests if test.hidden],
        "a hint (hints=…)": exercise.hints,
        "a misconception (@{}.misconception)": exercise.misconceptions,
        "another correct answer (@{}.also_correct)": exercise.alternatives,
    }
    yield from (
        f"{exercise.id} needs {what.format(exercise.id)}: it has none" for what, found in parts.items() if not found
    )
    if not exercise.solution.__doc__:
        yield f"{exercise.id} needs a docstring, which is the prompt: there is none"
    if exercise.minutes <= 0 or exercise.points <= 0:
        yield f"{exercise.id} needs points and minutes above 0: got {exercise.points:g} and {exercise.minutes:g}"
