"""Which tests run in which pass."""

from __future__ import annotations

import pytest
from studium_graders.engine.judge.events import Planned
from studium_graders.engine.judge.modes import PLAIN, Turns, turns_of

from .notebooks import answer, checked, material

TITLE = "# Hidden test (1 point): should hold"
BOOK = material(
    answer("x = 1"),
    checked("assert x", id="seen"),
    checked(f"{TITLE}\nassert x == 1", id="secret", hidden=True, released=TITLE),
    checked("assert x", id="plain"),
    checked("assert x\nassert x == 1", id="in part", hidden=True, released="assert x"),
    checked("assert y", id="late"),
)
PLAN = Planned({"seen": "", "secret": "", "plain": PLAIN, "in part": PLAIN, "late": PLAIN}, frozenset({"late"}))
EVERY = PLAN.reasons.keys()


@pytest.mark.parametrize(
    ("released", "how", "run", "judged"),
    [
        (True, "apart", {"seen"}, {"seen"}),
        (True, "whole", EVERY - {"late"}, {"plain", "in part"}),
        (False, "apart", {"secret"}, {"secret"}),
        (False, "whole", EVERY, {"in part", "late"}),
    ],
)
def test_each_pass_has_its_tests(released, how, run, judged):
    assert turns_of(BOOK, PLAN, released=released, how=how) == Turns(frozenset(run), frozenset(judged))


def test_a_hidden_test_of_a_topic_of_which_students_have_the_title_is_not_judged_in_the_released_pass():
    assert "secret" not in turns_of(BOOK, PLAN, released=True, how="apart").judged
