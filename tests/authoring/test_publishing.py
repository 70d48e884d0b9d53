"""Before a topic is published: its wheel in a fresh environment, a class that uses it, and its claims on ten seeds."""

from __future__ import annotations

import pytest
from studium.authoring import measured_claims, publishing, reference_answers
from studium.authoring.runner import check_topic, checks_of
from studium.authoring.subject import open_subject
from studium.cli import topic
from studium.experiments.measuring import ClaimResult

from tests.authoring.conftest import SMOKE, Damage, failed

RAISES = Damage(
    "",
    "claims",
    "experiment.py",
    'lambda views: 1 / 0,\n        at_most=1e-12,\n        holds_from="laptop"',
    'lambda views: views.gap,\n        at_most=1e-12,\n        holds_from="smoke"',
)


@pytest.fixture
def to_publish(copy_sample):
    """to_publish("wheel", damage) → the report of this check of a copy of the sample topic, as before publishing."""

    def run(check, *damages, change=lambda folder: None):
        folder = copy_sample(*damages)
        change(folder)
        with open_subject(str(folder), SMOKE, publish=True) as subject:
            return check_topic(subject, only=[check], known=("imports", "solutions"))

    return run


def test_the_checks_before_publishing_run_only_where_they_are_asked_for(copy_sample):
    folder = str(copy_sample())
    for publish in (False, True):
        with open_subject(folder, SMOKE, publish=publish) as subject:
            names = {check.name for check in checks_of(subject)}
        assert ({"wheel", "assignment"} <= names) == publish


def test_publishing_is_for_the_size_that_learners_have(monkeypatch):
    asked = []
    monkeypatch.setattr(topic, "_checked", lambda given, quiet: asked.append(given) or topic_report())
    topic.check("echo", publish=True)
    assert (asked[0].profile.name, asked[0].publish) == ("laptop", True)


def topic_report():
    from studium.authoring.findings import Report

    return Report("echo", True, [])


@pytest.mark.heavy
def test_the_wheel_of_a_sound_topic_works_in_a_fresh_environment(to_publish):
    assert failed(to_publish("wheel")) == []


@pytest.mark.heavy
def test_a_wheel_that_leaves_the_package_out_is_told(to_publish):
    def leave_out(folder):
        path = folder / "pyproject.toml"
        table = '\n[tool.hatch.build.targets.wheel]\npackages = ["other"]\n'
        path.write_text(path.read_text("utf-8") + table, "utf-8")
        (folder / "other").mkdir()
        (folder / "other" / "__init__.py").touch()

    assert failed(to_publish("wheel", change=leave_out)) == ["wheel"]


@pytest.mark.heavy
@pytest.mark.nbgrader
def test_an_assignment_of_a_sound_topic_is_built_and_graded(to_publish):
    pytest.importorskip("nbgrader")
    report = to_publish("assignment")
    assert failed(report) == [], report.checks[-1].detail


def test_a_right_submission_that_loses_points_is_told_and_so_is_an_untouched_one_that_earns_some():
    rows = [
        {"student": "right", "score": 5, "max_score": 6},
        {"student": "untouched", "score": 1, "max_score": 6},
        {"student": "right", "score": 6, "max_score": 6},
        {"student": "untouched", "score": 0, "max_score": 6},
    ]
    said = list(publishing._misjudged(rows))
    assert [line.split(":")[0] for line in said] == [
        "the right submission must earn 6 points",
        "the untouched submission must earn 0 points",
    ]


def test_a_claim_that_is_judged_later_is_run_at_smoke_and_its_error_told(checked, copy_sample):
    report = checked(copy_sample(RAISES), "claims", known=("imports", "solutions", "reference"))
    assert failed(report) == ["claims"]
    assert "ZeroDivisionError" in report.checks[-1].detail


def test_a_claim_that_does_not_hold_or_measures_no_number_is_told():
    for measured, holds, said in [
        (float("nan"), False, "must measure a number"),
        (2.0, False, "must hold at smoke"),
        (0.5, True, ""),
    ]:
        row = ClaimResult("echo", "it is so", "1", measured, 1.0, holds, 1.0, 1.0, "smoke", "cpu", [measured])
        told = "\n".join(reference_answers._unheld([row]))
        assert said in told
        assert bool(told) == bool(said)


def test_claims_are_measured_on_ten_seeds_before_publishing_and_with_one_thread(copy_sample, monkeypatch):
    asked = []
    monkeypatch.setattr(measured_claims, "reproduce", lambda *given, threads: asked.append((given[2], threads)) or [])
    for publish in (False, True):
        with open_subject(str(copy_sample()), SMOKE, publish=publish) as subject:
            reference_answers.claims(subject)
    assert asked == [(range(1), 1), (range(10), 1)]
