"""Where grading runs: threads of this process, or an existing dask.distributed cluster."""

import hashlib
import os
import warnings
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any

from studium.errors import CourseError

LARGE = 2**16  # bytes of an argument large enough to be sent to a cluster once instead of with each task
_KEPT = 4  # how many of these to remember; the cluster forgets others once no task waits for them
_TRIES = 3
_CONNECT_SECONDS = 20


def local_executor(options: dict[str, Any]) -> Executor:
    """Return ``options["jobs"]`` threads; the work itself is done by processes that they watch."""
    return ThreadPoolExecutor(options.get("jobs") or usable_cpus(), thread_name_prefix="grading")


def dask_executor(options: dict[str, Any]) -> Executor:
    """Return the workers of the cluster at ``options["scheduler"]``, those with a GPU if ``gpu`` is set.

    Raise CourseError if dask.distributed is not installed or the scheduler does not answer.
    """
    scheduler = options.get("scheduler") or os.environ.get("DASK_SCHEDULER_ADDRESS", "")
    if not scheduler:
        raise CourseError("--executor dask needs the address of a scheduler; add --scheduler tcp://HOST:8786")
    try:
        from distributed import Client
    except ImportError:
        raise CourseError(
            "--executor dask needs dask.distributed, which is not installed; run: pip install 'studium[dask]'"
        ) from None
    try:
        client = Client(scheduler, timeout=_CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise CourseError(
            f"the dask scheduler at {scheduler} does not answer: {error}; start one, or correct --scheduler"
        ) from error
    return DaskExecutor(client, {"GPU": 1} if options.get("gpu") else {})


class DaskExecutor(Executor):
    """A dask cluster as an executor. Work of a lost worker is done again by another."""

    def __init__(self, client: Any, resources: dict[str, int]) -> None:
        self._client = client
        self._options = {"pure": False, "retries": _TRIES} | ({"resources": resources} if resources else {})
        self._executor = client.get_executor(**self._options)
        self._sent: dict[str, Any] = {}

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run ``fn`` on a worker. Large bytes among the arguments are sent once and shared by its tasks."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Sending large graph", category=UserWarning)
            future: Future[Any] = self._executor.submit(fn, *(self._send(value) for value in args), **kwargs)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Leave the cluster, which keeps running."""
        self._sent.clear()
        self._executor.shutdown(wait=wait and not cancel_futures)
        self._client.close()

    def _send(self, value: Any) -> Any:
        """Return a task that produces a large value: unlike scattered data, it is made again if a worker is lost."""
        if not isinstance(value, bytes) or len(value) < LARGE:
            return value
        key = f"studium-{hashlib.sha256(value).hexdigest()}"
        self._sent[key] = self._sent.pop(key, None) or self._client.submit(bytes, value, key=key)
        for oldest in list(self._sent)[:-_KEPT]:
            del self._sent[oldest]
        return self._sent[key]


def usable_cpus() -> int:
    """Return the number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
