"""The queue: one check at a time, the others wait, and any may be stopped."""

from __future__ import annotations

import threading

import pytest
from studium.desk.clean_check import CancelledError
from studium.desk.jobs import Job, Jobs, RefusedError
from studium.errors import StudiumError


@pytest.fixture
def told():
    return []


@pytest.fixture
def jobs(told):
    jobs = Jobs(told.append)
    yield jobs
    jobs.close()


class Gate:
    """Work that lasts until it is let go, or stopped."""

    def __init__(self):
        self.open = threading.Event()
        self.begun = threading.Event()

    def __call__(self, job):
        self.begun.set()
        while not self.open.wait(0.01):
            if job.stop.is_set():
                raise CancelledError("stopped")
        return ["result"]


def job(work, exercise="merge"):
    return Job("lora.ipynb", "lora", exercise, 60.0, work)


def wait(jobs, name, *states):
    for _ in range(1000):
        if (state := jobs.get(name)).state in states:
            return state
        threading.Event().wait(0.01)
    raise AssertionError(state)


def test_one_runs_and_the_others_wait_their_turn(jobs, told):
    gate = Gate()
    first, second, third = (jobs.add(job(gate, name)) for name in ("a", "b", "c"))
    assert gate.begun.wait(10)
    assert [jobs.get(one.id).position for one in (first, second, third)] == [0, 1, 2]
    gate.open.set()
    assert wait(jobs, third.id, "done").results == ["result"]
    assert [(one.exercise, one.state) for one in told if one.state != "queued"] == [
        (name, state) for name in "abc" for state in ("running", "done")
    ]


def test_a_running_job_is_stopped(jobs):
    gate = Gate()
    one = jobs.add(job(gate))
    assert gate.begun.wait(10)
    jobs.cancel(one.id)
    assert wait(jobs, one.id, "cancelled").results is None


def test_a_waiting_job_is_stopped_and_never_begins(jobs):
    gate, never = Gate(), Gate()
    jobs.add(job(gate, "a"))
    waiting = jobs.add(job(never, "b"))
    assert jobs.cancel(waiting.id).state == "cancelled"
    gate.open.set()
    last = jobs.add(job(gate, "c"))
    wait(jobs, last.id, "done")
    assert not never.begun.is_set()


def test_asking_again_replaces_what_still_waits(jobs):
    gate = Gate()
    jobs.add(job(gate, "a"))
    old = jobs.add(job(gate, "b"))
    new = jobs.add(job(gate, "b"))
    assert jobs.get(old.id).state == "cancelled"
    gate.open.set()
    wait(jobs, new.id, "done")


@pytest.mark.parametrize(
    ("error", "state", "message"),
    [
        (StudiumError("no notebook"), "failed", "no notebook"),
        (RefusedError("too large"), "refused", "too large"),
        (KeyError("x"), "failed", "the check itself failed: KeyError"),
    ],
)
def test_an_error_is_told_and_the_queue_goes_on(jobs, error, state, message):
    def fail(one):
        raise error

    failed = wait(jobs, jobs.add(job(fail)).id, "failed", "refused")
    assert failed.state == state
    assert message in failed.message
    gate = Gate()
    gate.open.set()
    wait(jobs, jobs.add(job(gate)).id, "done")


def test_only_the_last_jobs_are_remembered(jobs):
    gate = Gate()
    gate.open.set()
    for number in range(60):
        last = jobs.add(job(gate, f"e{number}"))
        wait(jobs, last.id, "done")
    assert len(jobs.all()) == 50
    assert jobs.all()[0].id == last.id
    assert jobs.get("0" * 32) is None
    assert jobs.cancel("0" * 32) is None
