"""Measure Studium's own topics for their score cards: ``python docs/measure_topics.py [--profile laptop] [SLUG…]``.

Without a SLUG it continues with those that have no score yet; ``--again`` measures all of them. The results are kept in
``docs/scores/SLUG.json``, with the day and the machine; ``make docs`` turns them into pages.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from studium.authoring.findings import Mutants
from studium.authoring.imports import modules_of
from studium.authoring.runner import check_topic, checks_of
from studium.authoring.subject import Subject
from studium.catalogue.catalogue import load_catalogue
from studium.experiments.measuring import ClaimResult, reproduce
from studium.notebooks.files import write_text
from studium.topics.profiles import Profile

SCORES = Path(__file__).parent / "scores"


class Score(msgspec.Struct):
    """The result of measuring a topic. ``widgets`` are those that its lesson shows."""

    topic: str
    title: str
    day: str
    machine: str
    profile: str
    checks: dict[str, bool]
    mutants: Mutants
    exercises: int
    misconceptions: int
    lesson_seconds: float
    lesson_mb: float
    claims: list[ClaimResult]
    widgets: list[str]
    languages: list[str]


def measure(subject: Subject) -> Score:
    """Run all checks and all experiments of a topic once; the experiments decide about the claims."""
    report = check_topic(subject, only=[check.name for check in checks_of(subject) if check.name != "claims"])
    run, claims = subject.lesson_run, list(reproduce(subject.topic, subject.profile, range(3)))
    passed = {check.name: check.passed for check in report.checks}
    return Score(
        subject.topic.slug,
        subject.topic.title,
        datetime.now(UTC).date().isoformat(),
        f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, load average {os.getloadavg()[1]:.1f}",
        subject.profile.name,
        passed | {"claims": all(claim.holds is not False for claim in claims)},
        report.mutants,
        len(subject.exercises),
        sum(len(exercise.misconceptions) for exercise in subject.exercises),
        round(run.seconds, 1),
        round(run.peak_mb),
        claims,
        shown_widgets(subject),
        ["English"],
    )


def shown_widgets(subject: Subject) -> list[str]:
    """Return the names of the widgets that the lesson creates, from the library and from the topic."""
    import studium_widgets
    from studium_widgets import Widget

    code = "\n".join(cell.source for cell in subject.lesson.cells if cell.cell_type == "code")
    known = {name: getattr(studium_widgets, name) for name in studium_widgets.__all__}
    for name in modules_of(subject.folder):
        known |= vars(subject.topic.module(name))
    kinds = [name for name, value in known.items() if isinstance(value, type) and issubclass(value, Widget)]
    return sorted(name for name in kinds if re.search(rf"\b{name}[(.]", code))


def main() -> None:
    """Measure the topics that are named, or else those of ours without a score at this profile, so it can resume."""
    parser = argparse.ArgumentParser(description="Measures topics for their score cards.")
    parser.add_argument("--profile", default="laptop", choices=("smoke", "laptop", "gpu"))
    parser.add_argument("--again", action="store_true", help="Also measure topics that already have a score.")
    parser.add_argument("slugs", nargs="*")
    asked = parser.parse_args()
    catalogue = load_catalogue()
    ours = [
        entry.topic.slug for entry in catalogue.entries if entry.distribution == "studium" and not entry.topic.opener
    ]
    waiting = [slug for slug in ours if asked.again or not has_score(slug, asked.profile)]
    SCORES.mkdir(exist_ok=True)
    failed = [
        slug for slug in asked.slugs or waiting if not keep(Subject(catalogue[slug], catalogue, Profile(asked.profile)))
    ]
    sys.exit(f"not measured: {', '.join(failed)}; name them to try again" if failed else 0)


def has_score(slug: str, profile: str) -> bool:
    """Return whether a topic has been measured at a profile."""
    path = SCORES / f"{slug}.json"
    return path.is_file() and msgspec.json.decode(path.read_bytes(), type=Score).profile == profile


def keep(subject: Subject) -> bool:
    """Measure a topic, store its score and print how long it took; an error does not affect the others."""
    start = time.monotonic()
    print(f"{subject.topic.slug} …", end=" ", flush=True)  # noqa: T201
    try:
        score = measure(subject)
    except Exception as error:
        print(f"{type(error).__name__}: {error}")  # noqa: T201
        return False
    text = msgspec.json.format(msgspec.json.encode(score), indent=1).decode()
    write_text(text + "\n", SCORES / f"{score.topic}.json")
    wrong = [name for name, passed in score.checks.items() if not passed]
    print(f"{time.monotonic() - start:.0f} s{'; failed: ' + ', '.join(wrong) if wrong else ''}")  # noqa: T201
    return True


if __name__ == "__main__":
    main()
