"""Checks that the full implementation agrees with the exercises, the topic's own tests, and the paper's claims."""

import math
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from studium.authoring.findings import Finding
from studium.authoring.subject import Subject
from studium.exercises.checking import check
from studium.experiments.measuring import ClaimResult

_NO_TESTS = 5  # pytest's exit code
_LIMIT = 600  # seconds


def reference(subject: Subject) -> Finding:
    """Run the tests of the exercises on the functions with the same names in the reference."""
    names = [exercise.id for exercise in subject.exercises]
    if not subject.topic.has("reference"):
        return Finding([], "the topic has no reference.py")
    module = subject.topic.module("reference")
    shared = [name for name in names if callable(getattr(module, name, None))]
    return Finding(
        list(_disagreements(subject, shared)),
        f"passes the tests of {', '.join(shared) or 'no exercise, because they share no names'}",
    )


def _disagreements(subject: Subject, names: list[str]) -> Iterator[str]:
    module = subject.topic.module("reference")
    for name in names:
        result = check(subject.topic.slug, subject.topic.exercises[name], getattr(module, name))
        failing = next((test for test in result.tests if not test.passed), None)
        if failing:
            yield (
                f"{name} of reference.py must pass the tests of the exercise {name}: {failing.name!r} says: "
                f"{failing.message}; correct whichever is wrong"
            )


def own_tests(subject: Subject) -> Finding:
    """Run the tests in the topic's folder and next to its package with pytest, except those marked heavy."""
    files = [*subject.folder.glob("test_*.py"), *_beside(subject.folder)]
    if not files:
        return Finding([], "the topic has no test_*.py")
    if not find_spec("pytest"):
        return Finding(["the tests of the topic need pytest, which is not installed; pip install pytest"], "")
    options = ["-q", "-x", "--no-header", "-p", "no:cacheprovider", "-m", "not heavy", "--tb=short"]
    command = [sys.executable, "-m", "pytest", *options, *map(str, files)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT, check=False, env=_environment())
    except subprocess.TimeoutExpired:
        return Finding([f"the tests of the topic may take {_LIMIT} s, but took longer; mark long ones as heavy"], "")
    lines = done.stdout.strip().splitlines()
    if done.returncode in (0, _NO_TESTS):
        return Finding([], lines[-1].strip("= ") if lines else "passed")
    said = [line for line in lines if line.startswith(("E  ", "ERROR", "FAILED"))] or done.stderr.splitlines()[-1:]
    return Finding([f"the tests of the topic must pass: {'; '.join(line[:200] for line in said[-3:])}; correct it"], "")


def _beside(package: Path) -> list[Path]:
    project = package.parent
    return [*project.glob("tests/test_*.py")] if (project / "pyproject.toml").is_file() else []


def _environment() -> dict[str, str]:
    """Return the variables of this process without those set by a test run around it."""
    return {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST_", "COV_"))}


def claims(subject: Subject) -> Finding:
    """Measure the claims that can be judged at this profile; at smoke, measure all, to be sure that each one runs."""
    profile, all_claims, measured = subject.profile, subject.topic.claims, subject.measured
    if not measured:
        return Finding([], f"the claims cannot be judged at {profile.name}")
    judged = [claim for claim in all_claims if claim.judged_at(profile)]
    seeds = len(measured[0].by_seed)
    summary = f"{len(judged)} of {len(all_claims)} claims are judged at {profile.name} and hold, over {seeds} seeds"
    if profile.name == "smoke" and len(all_claims) > len(judged):
        summary += f"; {len(all_claims) - len(judged)} are only measured, since they are judged at laptop and above"
    return Finding(list(_unheld(measured)), summary)


def _unheld(rows: list[ClaimResult]) -> Iterator[str]:
    for row in rows:
        if not math.isfinite(row.measured):
            yield (
                f"the claim {row.claim!r} must measure a number at every profile: got {row.measured} at {row.profile}; "
                "correct its measure, or the experiment"
            )
        elif row.holds is False:
            yield (
                f"the claim {row.claim!r} must hold at {row.profile}: measured {row.measured:.4g}, the bound is "
                f"{row.threshold:.4g}; correct the experiment, or say honestly what it shows"
            )
