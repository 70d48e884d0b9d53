"""Code in child processes tells events in order and ends with all that it started; one sentence says why it died."""

from __future__ import annotations

import os
import signal
import sys
import time
from functools import partial
from itertools import islice
from pathlib import Path

import msgspec
import psutil
import pytest
from studium.workers.job import Job, follow
from studium.workers.program import DiedError, Program, results
from studium.workers.warm import Warm

from tests.children import child

from . import works

ANYTHING = msgspec.msgpack.Decoder(object)
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process when another one is gone")


@pytest.fixture(scope="module", autouse=True)
def found():
    """Let workers import this folder, whatever theirs is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
        yield


@pytest.fixture(scope="module")
def warm(found):
    warm = Warm()
    yield warm
    warm.close()


@pytest.fixture(params=["started", "forked"])
def worker(request, tmp_path, warm):
    """worker(work) → a worker that does it, and a generator of what it tells without the moments in between."""
    started = []

    def worker(work, **place):
        job = Job(work, tmp_path / "events", **place)
        one = Program(job) if request.param == "started" else warm.launch(job)
        started.append(one)
        return one, (event for event in follow(one, job.events, ANYTHING) if event is not None)

    yield worker
    for one in started:
        one.kill()


def gone(pid):
    """Whether a process ends within a minute; one that nobody has waited for has ended too."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.02)
    return False


def test_events_come_in_order_and_all_of_them(worker):
    one, told = worker(partial(works.count, 5000))
    assert list(told) == list(range(5000))
    assert one.poll() == 0


def test_a_number_that_json_has_not_is_told_as_well():
    (number,) = results(works.not_a_number, ANYTHING)
    assert number != number


def test_an_event_that_was_not_told_to_its_end_is_left_out(worker, tmp_path):
    _, told = worker(partial(works.half_an_event, tmp_path / "events"))
    assert list(told) == ["whole"]


def test_a_worker_finds_modules_in_its_folder_first(worker, tmp_path):
    _, told = worker(works.say_where, folder=tmp_path)
    assert list(told) == [[str(tmp_path), str(tmp_path)]]


def test_a_worker_that_ignores_signals_ends(worker):
    one, told = worker(works.stubborn)
    pid = next(told)
    one.kill()
    assert gone(pid)
    assert one.poll() == -signal.SIGKILL


def test_what_a_worker_has_started_ends_with_it(worker):
    one, told = worker(works.prolific)
    family = list(islice(told, 3))
    one.kill()
    assert all(map(gone, family))


def test_what_a_worker_leaves_behind_ends_too(worker):
    one, told = worker(works.leave_behind)
    (left,) = told
    one.kill()
    assert gone(left)


def test_a_worker_that_prints_without_end_is_read_and_ends(worker):
    one, told = worker(works.talkative)
    pid = next(told)
    time.sleep(0.2)
    one.kill()
    assert gone(pid)


def test_a_limit_can_be_checked_while_events_come_without_end(worker, tmp_path):
    one, _ = worker(works.telling_without_end)
    assert any(event is None for event in follow(one, tmp_path / "events", ANYTHING))


@pytest.mark.parametrize(("work", "code"), [(works.killed, -9), (works.crashed, -11), (partial(works.exits, 7), 7)])
def test_a_worker_that_dies_has_the_code_of_its_end(worker, work, code):
    one, told = worker(work)
    list(told)
    assert one.poll() == code


@pytest.mark.parametrize(
    ("work", "why"),
    [
        (works.killed, "it was killed from outside, as happens when memory runs out"),
        (works.crashed, "it crashed (SIGSEGV)"),
        (partial(works.exits, 7), "it ended with exit code 7 and reported nothing"),
        (works.raises, "ValueError: the answer is 42"),
        (works.raises_and_says_goodbye, "ValueError: the answer is 42"),
    ],
    ids=["killed", "crashed", "exits", "raises", "raises, and a library complains"],
)
def test_one_sentence_says_why_a_worker_died(work, why):
    with pytest.raises(DiedError) as caught:
        results(work, ANYTHING)
    assert str(caught.value) == why


def test_a_worker_that_takes_too_long_is_ended():
    with pytest.raises(TimeoutError):
        results(works.endless, ANYTHING, limit=0.1)


@LINUX
@pytest.mark.parametrize("kind", ["program", "warm"])
def test_a_parent_that_is_killed_leaves_nothing(kind, tmp_path):
    events, ready = tmp_path / "events", tmp_path / "ready"
    code = (
        "from pathlib import Path; from tests.workers.works import parent; "
        f"parent({kind!r}, Path({str(events)!r}), Path({str(ready)!r}))"
    )
    with child([sys.executable, "-c", code], cwd=Path(__file__).parents[2]) as parent:
        end = time.monotonic() + 120
        while not ready.exists():
            assert parent.poll() is None
            assert time.monotonic() < end
            time.sleep(0.02)
        family = list(islice((pid for pid in follow(_Alive(), events, ANYTHING) if pid), 3))
        below = [one.pid for one in psutil.Process(parent.pid).children(recursive=True)]
        assert set(family) <= set(below)
        parent.kill()
    assert all(map(gone, below))


class _Alive:
    def poll(self):
        return None


def test_a_fork_has_what_the_warm_process_has_done_before():
    warm = Warm()
    try:
        warm.call(partial(works.remember, 1))
        warm.call(works.raises)  # harms nobody
        warm.call(partial(works.remember, 2))
        assert told_by(warm, works.recall) == [[1, 2]]
    finally:
        warm.close()


def told_by(warm, work, folder=None):
    import tempfile

    with tempfile.TemporaryDirectory() as scratch:
        job = Job(work, Path(scratch) / "events")
        with warm.launch(job) as one:
            return [event for event in follow(one, job.events, ANYTHING) if event is not None]


def test_a_warm_process_with_a_second_thread_is_not_forked():
    warm = Warm()
    try:
        warm.call(works.have_a_thread)
        assert told_by(warm, partial(works.count, 3)) == [0, 1, 2]
        assert not warm._fit
    finally:
        warm.close()


def test_a_warm_process_that_was_killed_is_started_again(warm):
    assert told_by(warm, partial(works.count, 3)) == [0, 1, 2]
    os.kill(warm._process.pid, signal.SIGKILL)
    assert told_by(warm, partial(works.count, 3)) == [0, 1, 2]


@LINUX
def test_a_fork_ends_with_its_warm_process(warm, tmp_path):
    job = Job(works.prolific, tmp_path / "events")
    with warm.launch(job) as one:
        family = list(islice(filter(None, follow(one, job.events, ANYTHING)), 3))
        os.kill(warm._process.pid, signal.SIGKILL)
        assert all(map(gone, family))


@LINUX
def test_forks_with_limits_give_a_result_or_none():
    found = dict(results(works.forking, ANYTHING))
    left = found.pop("leaves")
    assert found == {"right": "fine", "killed": None, "late": None, "raises": None, "greedy": None}
    assert gone(int(left))
