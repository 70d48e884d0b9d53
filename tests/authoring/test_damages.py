"""Each damage is found by the check that is for it, and by no other."""

from __future__ import annotations

import pytest
from studium.authoring.runner import OWN_CHECKS
from studium.authoring.secrecy import answers_of, told
from studium.authoring.subject import open_subject

from tests.authoring.conftest import SMOKE, failed
from tests.authoring.damages import DAMAGES

pytestmark = pytest.mark.usefixtures("forked_checks")

QUICK = [check.name for check in OWN_CHECKS if not check.apart]
SHOWN_BY_CELLS = ("a solution in what a cell prints", "a solution in a figure")
EACH = pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.name)


@pytest.mark.heavy
def test_a_sound_topic_passes_every_check(copy_sample, checked):
    report = checked(copy_sample())
    assert failed(report) == []
    assert {check.name for check in OWN_CHECKS} <= {check.name for check in report.checks}
    assert report.mutants.killed == report.mutants.total > 15


@pytest.mark.parametrize("check", [name for name in QUICK if any(damage.check == name for damage in DAMAGES)])
def test_damage_is_found_by_its_check(check, copy_sample, checked):
    before = ("imports", "solutions", "repeatability")
    for damage in (damage for damage in DAMAGES if damage.check == check):
        assert failed(checked(copy_sample(damage), check, known=before)) == [check], damage.name


def test_a_leak_is_found_before_the_lesson_runs(copy_sample):
    for damage in DAMAGES:
        if damage.check == "secrecy" and damage.name not in SHOWN_BY_CELLS:
            with open_subject(str(copy_sample(damage)), SMOKE) as subject:
                assert list(told(subject, answers_of(subject.topic))), damage.name


@pytest.mark.heavy
@EACH
def test_damage_is_found_by_its_check_and_by_no_other(damage, copy_sample, checked):
    assert failed(checked(copy_sample(damage))) == [damage.check]


def test_every_check_has_a_damage():
    elsewhere = {"lesson forms", "ladder", "notation", "plain English", "promises", "vacuous answers"}  # own test files
    assert {check.name for check in OWN_CHECKS} - {damage.check for damage in DAMAGES} <= {"robustness", *elsewhere}
