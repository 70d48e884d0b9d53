"""All checks in order, and what they report about a widget."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from studium_widgets.base import Widget
from studium_widgets.conformance import (
    hosting_checks,
    keyboard_checks,
    opening_checks,
    reading_checks,
    sight_checks,
)
from studium_widgets.conformance.browser import UnavailableError
from studium_widgets.conformance.trial import Trial

__all__ = ["CHECKS", "Verdict", "judge"]

Check = Callable[[Trial], Iterator[str]]
CRASHED = re.compile("(Page|Target) crashed")  # playwright's own words

# Those that only look come first, since they share one drawing.
CHECKS: tuple[Check, ...] = (
    reading_checks.alternative_text_says_it,
    opening_checks.opens_with_one_idea,
    keyboard_checks.controls_have_names,
    keyboard_checks.shortcuts_are_kept_away,
    keyboard_checks.tab_reaches_controls,
    keyboard_checks.controls_move_by_arrows,
    hosting_checks.state_crosses,
    hosting_checks.lives_twice,
    hosting_checks.lives_without_a_kernel,
    reading_checks.changes_are_announced,
    reading_checks.table_agrees,
    opening_checks.numbers_read_alike,
    sight_checks.text_stands_out,
    sight_checks.lines_stand_out,
    sight_checks.colours_tell_apart,
    sight_checks.page_may_be_narrow,
    sight_checks.reduced_motion_is_kept,
    reading_checks.axe_is_content,
    hosting_checks.leaves_nothing_running,
    hosting_checks.asks_for_nothing_outside,
)


@dataclass(frozen=True)
class Verdict:
    """The result of one check: `passed` is None if it could not run; `detail` has each problem with the next step."""

    name: str
    passed: bool | None
    detail: str

    def __str__(self) -> str:
        mark = {True: "passed", False: "FAILED", None: "not run"}[self.passed]
        return f"{mark:8}{self.name}" + "".join(f"\n        {line}" for line in self.detail.splitlines())


def judge(widget_class: type[Widget], browser: Any, checks: tuple[Check, ...] = CHECKS) -> list[Verdict]:
    """Return each check's verdict on the class's example, in a playwright Browser.

    If the page's process crashes during a check, the check runs once more on a new page, because Chromium crashes now
    and then.
    """
    verdicts = []
    with ExitStack() as trials:
        trial = trials.enter_context(Trial(browser, widget_class))
        for check in checks:
            verdict = _verdict(check, trial)
            if CRASHED.search(verdict.detail):
                trial = trials.enter_context(Trial(browser, widget_class))
                verdict = _verdict(check, trial)
            verdicts.append(verdict)
    return verdicts


def _verdict(check: Check, trial: Trial) -> Verdict:
    name = check.__name__.replace("_", " ")
    try:
        problems = list(check(trial))
    except UnavailableError as missing:
        return Verdict(name, None, str(missing))
    except Exception as error:  # somebody's widget may fail anywhere
        problems = [f"the check broke off: {type(error).__name__}: {error}"]
    return Verdict(name, not problems, "\n".join(problems))
