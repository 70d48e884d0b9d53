"""Processes that are started and not forked, as on macOS and Windows: same results, and labelled."""

import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
from studium_graders.engine.processes import cold_start
from studium_graders.engine.processes.cold_start import ColdStart
from studium_graders.engine.processes.zygote import ZygoteError
from studium_graders.engine.sandbox import Level
from studium_graders.engine.supervision.engine import Engine, EngineError


def test_a_self_check_gives_the_same_points_and_says_what_it_is(material, hand_in):
    family = psutil.Process()
    before = set(family.children())
    with Engine(material, Level.SELF_CHECK, trust=True) as engine:
        result = engine.grade(hand_in())
        assert ([test.points for test in result.tests], result.sandbox) == ([1, 1, 1, 1], "self-check")
        result = engine.grade(hand_in(second="def second(x):\n    import os\n    os._exit(0)"))
        assert ([test.points for test in result.tests], result.verdict) == ([1, 0, 1, 1], "ended early")
    assert set(family.children()) <= before


def test_a_self_check_must_be_trusted(material):
    with pytest.raises(EngineError, match="self-check"):
        Engine(material, Level.SELF_CHECK)


def test_a_process_that_does_not_come_up_is_told(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "broken_role.py").write_text("def prepare(setup):\n    1 / 0\n")
    with ColdStart("broken_role") as pool, pytest.raises(ZygoteError, match="ZeroDivisionError"):
        pool.launch([])


def test_threads_that_want_a_process_at_the_same_time_all_get_one(monkeypatch):
    class Slow:
        def __init__(self, role, setup):
            time.sleep(0.002)

        def begin(self, sockets):
            return self

        def end(self):
            pass

    monkeypatch.setattr(cold_start, "_Waiting", Slow)
    with ColdStart("role", stock=1) as pool, ThreadPoolExecutor(4) as threads:
        assert len(set(threads.map(lambda _: pool.launch([]), range(200)))) == 200
