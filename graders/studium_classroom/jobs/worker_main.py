"""A worker's process: jobs in on standard input, answers out on standard output. It ends when the server does.

``python -m studium_classroom.jobs.worker_main grade`` grades, one job after another; ``check`` checks as many notebooks
at once as there are processors.
"""

import logging
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from queue import SimpleQueue
from typing import BinaryIO

import msgspec
from studium.catalogue.catalogue import load_catalogue
from studium.errors import CourseError, StudiumError, UsageError
from studium_graders.grading import ancestor
from studium_graders.grading.executors import usable_cpus

from studium_classroom.jobs.forms import Answered, Asked, CheckDone, CheckJob, Failed, GradeDone, GradeJob

_NICENESS = 10  # handing in must not wait for grading
_log = logging.getLogger(__name__)
_asked = msgspec.msgpack.Decoder(Asked)  # created here and not in threads, where msgspec may crash the process

Work = Callable[[GradeJob | CheckJob], GradeDone | CheckDone]


def main() -> None:
    """Work until standard input ends."""
    os.nice(_NICENESS)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a course's plugins print is not an answer
    waiting: SimpleQueue[Asked] = SimpleQueue()
    threading.Thread(target=_read, args=(sys.stdin.buffer, waiting), daemon=True).start()
    ancestor.begin()
    kind = sys.argv[1]
    work, jobs = (_grading(), 1) if kind == "grade" else (_checking(), usable_cpus())
    lock = threading.Lock()
    with ThreadPoolExecutor(jobs) as executor:
        while True:
            _begin(executor, work, waiting.get(), answers, lock)


def _grading() -> Work:
    from studium_classroom.jobs.grading import grade

    catalogue = load_catalogue()

    def work(job: GradeJob | CheckJob) -> GradeDone:
        assert isinstance(job, GradeJob)
        return grade(job, catalogue)

    return work


def _checking() -> Work:
    from studium_classroom.jobs.checking import Checker

    checker = Checker(load_catalogue())

    def work(job: GradeJob | CheckJob) -> CheckDone:
        assert isinstance(job, CheckJob)
        return checker.check(job)

    return work


def _read(stream: BinaryIO, waiting: "SimpleQueue[Asked]") -> None:
    """Take in jobs; when the server is gone, end at once: the next one asks again for unfinished work."""
    while len(head := stream.read(4)) == 4:
        waiting.put(_asked.decode(stream.read(int.from_bytes(head, "big"))))
    os._exit(0)


def _begin(executor: Executor, work: Work, asked: Asked, answers: BinaryIO, lock: threading.Lock) -> None:
    def run() -> None:
        packed = msgspec.msgpack.encode(Answered(asked.number, _answer(work, asked.job)))
        with lock:
            answers.write(len(packed).to_bytes(4, "big") + packed)
            answers.flush()

    executor.submit(run)


def _answer(work: Work, job: GradeJob | CheckJob) -> GradeDone | CheckDone | Failed:
    try:
        return work(job)
    except CourseError as error:
        return Failed(str(error), "course")
    except StudiumError as error:
        return Failed(str(error), "request" if isinstance(error, UsageError) else "work")
    except Exception as error:  # a job that fails must not affect another
        _log.exception("%s", job.assignment)
        return Failed(f"the server itself failed ({type(error).__name__}); its log has the details")


if __name__ == "__main__":
    main()
