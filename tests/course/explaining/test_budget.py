"""A call that may never end is ended, wherever it is at that moment, and nothing is heard of it."""

import sys
import time

import pytest
from studium.exercises.explaining import budget
from studium.exercises.explaining.budget import OutOfTime, can_interrupt, limited

pytestmark = pytest.mark.skipif(not can_interrupt(), reason="calls are ended on Unix alone")


class Busy:
    """An object that works for long while it is thrown away."""

    def __del__(self):
        for _ in range(10_000):
            pass


def throw_away_for_ever():
    with limited(0.05):
        while True:
            Busy()


def test_a_block_that_is_ended_in_a_destructor_goes_on_to_its_end_and_python_reports_nothing(monkeypatch):
    heard = []
    monkeypatch.setattr(sys, "unraisablehook", heard.append)
    with pytest.raises(OutOfTime):
        throw_away_for_ever()
    assert heard == []
    assert sys.unraisablehook == heard.append


def test_what_a_destructor_raises_itself_is_still_reported(monkeypatch):
    class Broken:
        def __del__(self):
            raise ValueError

    heard = []
    monkeypatch.setattr(sys, "unraisablehook", lambda found: heard.append(found.exc_type))
    with limited(60):
        Broken()
    assert heard == [ValueError]


def test_a_block_that_others_keep_from_working_has_its_time_all_the_same(monkeypatch):
    monkeypatch.setattr(budget, "_PATIENCE", 10_000)
    with limited(0.02):
        time.sleep(0.1)


def test_a_block_that_waits_for_ever_is_ended():
    with pytest.raises(OutOfTime), limited(0.02):
        time.sleep(3600)
