"""A calibration under way: what is done meanwhile has an end, and what was found is kept."""

from collections.abc import Iterator
from concurrent.futures import Future
from itertools import repeat
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
from studium_graders.engine.material.assignment import Calibration, CanonicalSubmission, Material
from studium_graders.grading.calibrating import Calibrating
from studium_graders.grading.class_run import _Line
from studium_graders.grading.work import Work

MATERIAL = Material("ps1", (), {}, secret=b"")


class Later:
    """An executor whose work is done when a test says so."""

    def __init__(self) -> None:
        self.given: list[Future] = []

    def submit(self, fn, *arguments) -> Future:
        self.given.append(Future())
        return self.given[-1]

    def end(self, **calibration: Calibration) -> None:
        self.given[-1].set_result(msgspec.msgpack.encode(msgspec.structs.replace(MATERIAL, calibration=calibration)))


@pytest.fixture
def calibrating(tmp_path: Path):
    def make(key: str = "key") -> tuple[Calibrating, Later]:
        executor = Later()
        return Calibrating(tmp_path, key, MATERIAL, executor, Work("", "L2")), executor

    return make


def test_one_waits_until_it_is_done_and_no_longer_than_one_wants(calibrating) -> None:
    under_way, executor = calibrating()
    assert len(list(under_way.waiting(3))) == 3
    waiting = under_way.waiting(3)
    next(waiting)
    executor.end()
    assert list(waiting) == []


def test_what_was_found_is_kept_for_the_same_key(calibrating) -> None:
    under_way, executor = calibrating()
    executor.end(book=Calibration(scored=frozenset({"total"})))
    assert under_way.result()[0].calibration["book"].scored == {"total"}
    again, executor = calibrating()
    assert (executor.given, list(again.waiting(3))) == ([], [])
    assert again.result()[0].calibration["book"].scored == {"total"}
    assert len(calibrating("another")[1].given) == 1


def test_problems_are_told_and_nothing_is_kept(calibrating) -> None:
    under_way, executor = calibrating()
    executor.end(book=Calibration(problems=("it fails",)))
    assert under_way.result()[1] == ["it fails"]
    assert len(calibrating()[1].given) == 1


def test_a_damaged_file_is_none(calibrating, tmp_path: Path) -> None:
    (tmp_path / "ps1.msgpack").write_bytes(b"\xff")
    assert len(calibrating()[1].given) == 1


class Endless:
    """A calibration that is never done."""

    def waiting(self, most: int) -> Iterator[None]:
        yield from [None] * most


def test_few_large_submissions_are_read_ahead_and_many_small_ones() -> None:
    for megabytes, ahead in ((0, 64), (20, 4), (100, 1)):
        submission = CanonicalSubmission("ada", (), {"data": bytes(megabytes << 20)})
        line = SimpleNamespace(calibrating=Endless())
        reading = repeat(submission, 100)
        assert len(_Line._read_ahead(line, reading)) == ahead
        assert len(list(reading)) == 100 - ahead
