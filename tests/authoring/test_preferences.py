"""27 damages that a stranger did to a topic: each is noticed by its check, or stays with the reader."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from studium.authoring.runner import check_topic
from studium.authoring.subject import open_subject

from tests.authoring.conftest import SMOKE
from tests.authoring.preferences.damages import ADVICE, HARMS, PROBLEM, READER, Harm

pytestmark = pytest.mark.usefixtures("forked_checks")

TOPIC = Path(__file__).parent / "preferences" / "topic"
PAGE = Path(__file__).parents[2] / "docs" / "standard.md"
NOTICED = [harm for harm in HARMS if harm.kind != READER]
BEFORE = ("imports", "solutions", "repeatability", "reference")


def damaged(harm: Harm, project: Path) -> Path:
    """Copy the topic with a damage in it."""
    shutil.copytree(TOPIC, project, ignore=shutil.ignore_patterns("__pycache__"))
    path = project / "studium_topic_preferences" / harm.file
    text = path.read_text("utf-8")
    assert [old for old in harm.edits if text.count(old) != 1] == []
    path.write_text(re.sub("|".join(map(re.escape, harm.edits)), lambda found: harm.edits[found[0]], text), "utf-8")
    return project


def findings(project: Path, *only: str, exercise: str = "") -> dict[str, dict[str, str]]:
    """What the checks print: {check: {PROBLEM: …, ADVICE: …}}."""
    with open_subject(str(project), SMOKE) as subject:
        subject.chosen = (exercise,) if exercise else ()
        report = check_topic(subject, only=only, known=[name for name in BEFORE if name not in only])
    return {
        check.name: {PROBLEM: "" if check.passed else check.detail, ADVICE: check.advice} for check in report.checks
    }


@pytest.mark.sample(3)
@pytest.mark.parametrize("harm", NOTICED, ids=lambda harm: harm.name)
def test_a_strangers_damage_is_noticed(harm, tmp_path):
    found = findings(damaged(harm, tmp_path / "project"), harm.check, exercise=harm.exercise)
    assert harm.says in found[harm.check][harm.kind]


@pytest.mark.heavy
def test_the_topic_has_none_of_the_damages_before():
    found = findings(TOPIC)
    assert [name for name, said in found.items() if said[PROBLEM]] == []
    assert [harm.name for harm in NOTICED if harm.says in found[harm.check][harm.kind]] == []


@pytest.mark.heavy
@pytest.mark.parametrize("harm", [harm for harm in HARMS if harm.kind == READER], ids=lambda harm: harm.name)
def test_what_only_a_reader_sees_fails_no_check(harm, tmp_path):
    found = findings(damaged(harm, tmp_path / "project"))
    assert [name for name, said in found.items() if said[PROBLEM]] == []


def test_20_of_the_27_damages_are_noticed():
    assert (len(NOTICED), len(HARMS)) == (20, 27)


def test_the_page_has_a_line_for_each_damage():
    for harm in HARMS:
        now = f"`{harm.check}`" + (", as advice" if harm.kind == ADVICE else "") if harm.check else "the reader"
        assert f"\n| {harm.name} | {harm.before} | {now} |\n" in PAGE.read_text("utf-8")
