"""The warm process that checks are forked from, so they take milliseconds instead of the seconds that torch takes."""

from functools import partial
from pathlib import Path

from studium.desk import check_process
from studium.desk.check_process import Request
from studium.desk.clean_check import environment, job_of
from studium.workers.job import Worker
from studium.workers.warm import Warm


class Zygote:
    """A warm process for checks. Any thread may use it."""

    def __init__(self) -> None:
        self._process = Warm(environment())
        self.close = self._process.close

    def warm(self, slug: str) -> None:
        """Have a topic imported, so its first check is quick too. Does not wait for it."""
        self._process.call(partial(check_process.warm, slug))

    def launch(self, request: Request, folder: Path) -> Worker:
        """Fork a process that carries out a request; start one cold if that is not possible."""
        self.warm(request.topic)
        return self._process.launch(job_of(request, folder))
