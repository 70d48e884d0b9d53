"""Honest work gets from the judge what it gets from nbgrader, but where we mean to differ."""

from __future__ import annotations

import pytest
from studium_graders.engine.judge.modes import PLAIN

from .honest_work import WORKS
from .notebooks import submission
from .processes import calibrate, grade_forked, oracle

pytestmark = pytest.mark.usefixtures("nobody_minds_what_is_left")


def test_the_corpus_is_large_enough():
    assert sum(work.tests * (len(work.answers) + 1) for work in WORKS) >= 200


@pytest.mark.sample(8)
@pytest.mark.parametrize("work", WORKS, ids=lambda work: work.name)
def test_honest_work_gets_what_nbgrader_gives(shell, work):
    notebook = work.notebook()
    calibration = calibrate(shell, notebook)
    wrong = []
    for number, texts in enumerate(work.versions()):
        canonical = submission(notebook, *texts)
        expected = oracle(shell, notebook, canonical)
        graded = grade_forked(shell, notebook, canonical, calibration)
        for name, points in expected.items():
            result = graded.results[name]
            meant = work.differs.get((number, name), str(points))
            if str(result.points) != meant or (result.mode, result.reason) != ("unverified", PLAIN):
                wrong.append((number, name, f"{result.points} for {meant}", result.mode, result.message))
    assert not wrong, "\n".join(map(str, wrong))
