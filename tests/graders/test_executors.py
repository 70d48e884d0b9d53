"""Where grading runs: threads here, or a dask cluster of which a worker may be lost."""

import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("nbgrader")
pytest.importorskip("distributed")

import distributed  # an extra
from studium.catalogue.catalogue import Catalogue
from studium.errors import CourseError
from studium.exercises.definitions import definition
from studium.exercises.sources import solved
from studium_graders.assignments.building import build_assignment
from studium_graders.grading import work
from studium_graders.grading.class_run import grade_class
from studium_graders.grading.executors import LARGE, dask_executor, local_executor
from studium_graders.grading.options import GradeOptions

pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # a worker that is killed leaves its sockets
    pytest.mark.filterwarnings("ignore::DeprecationWarning:distributed"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.xdist_group("dask"),
]


class Quiet:
    """A watcher that counts, and tells somebody after some results."""

    def __init__(self, at: int = 0, then: Callable[[], None] = lambda: None) -> None:
        self.count, self.at, self.then = 0, at, then

    def begin(self, total: int, sandbox: str) -> None:
        self.sandbox = sandbox

    def done(self, student: str, *, reused: bool) -> None:
        self.count += 1
        if self.count == self.at:
            self.then()

    def note(self, sentence: str) -> None:
        raise AssertionError(sentence)

    def agree(self, changes: Any) -> bool:
        return True


@pytest.fixture(scope="module")
def cluster(by_hand: Catalogue) -> Iterator[Any]:
    """A real cluster of two worker processes."""
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0", silence_logs=50
    ) as made:
        yield made


@pytest.fixture
def slow_length(by_hand: Catalogue) -> Callable[[bytes, int], tuple[int, int]]:
    """A function that workers can import."""
    from hand_grader import slow_length

    return slow_length


@pytest.fixture
def dask(cluster: Any) -> Iterator[Executor]:
    with dask_executor({"scheduler": cluster.scheduler_address}) as executor:
        yield executor


def kill_a_worker(cluster: Any) -> int:
    with distributed.Client(cluster.scheduler_address, set_as_default=False) as client:
        pid: int = next(iter(client.run(os.getpid).values()))
    os.kill(pid, signal.SIGKILL)
    return pid


def test_threads_run_as_many_jobs_as_were_asked_for() -> None:
    with local_executor({"jobs": 3}) as executor:
        barrier = threading.Barrier(3)
        assert len([future.result(20) for future in [executor.submit(barrier.wait) for _ in range(3)]]) == 3


def test_the_work_of_a_lost_worker_is_done_again(cluster: Any, dask: Executor, slow_length: Callable) -> None:
    data = os.urandom(2 * LARGE)
    futures = [dask.submit(slow_length, data, number) for number in range(12)]
    futures[0].result(60)
    kill_a_worker(cluster)
    results = [future.result(120) for future in futures]
    assert results == [(2 * LARGE, number) for number in range(12)]


def test_large_values_are_sent_once(dask: Any) -> None:
    data = os.urandom(2 * LARGE)
    assert dask._send(data) is dask._send(bytes(bytearray(data)))
    assert dask._send(b"small") == b"small"


def test_a_large_value_that_no_task_waits_for_is_forgotten(cluster: Any, dask: Any, slow_length: Callable) -> None:
    shared, own = os.urandom(LARGE), [os.urandom(LARGE) for _ in range(12)]
    for number, data in enumerate(own):
        both = [dask.submit(slow_length, one, number) for one in (shared, data)]
        assert [future.result(60) for future in both] == [(LARGE, number)] * 2
    assert dask._send(shared).done()
    end = time.monotonic() + 20
    while (kept := kept_of(cluster)) > 4 and time.monotonic() < end:
        time.sleep(0.1)
    assert kept <= 4


def kept_of(cluster: Any) -> int:
    """Give how many large values the cluster has."""
    with distributed.Client(cluster.scheduler_address, set_as_default=False) as client:
        return sum(str(key).startswith("studium-") for key in set().union(*client.has_what().values()))


def test_what_a_task_raises_comes_back(dask: Executor) -> None:
    with pytest.raises(ZeroDivisionError):
        dask.submit(divmod, 1, 0).result(60)


def test_gpu_work_waits_for_a_worker_that_has_one(cluster: Any, slow_length: Callable) -> None:
    with dask_executor({"scheduler": cluster.scheduler_address, "gpu": True}) as executor:
        future = executor.submit(slow_length, b"", 1)
        end = time.monotonic() + 60
        while not cluster.scheduler.unrunnable and time.monotonic() < end:
            time.sleep(0.05)
        assert cluster.scheduler.unrunnable
        assert not future.done()
        future.cancel()


class Impatient(Quiet):
    """A watcher that gives up when it is told something."""

    def note(self, sentence: str) -> None:
        raise TimeoutError(sentence)


def test_whoever_waits_for_a_worker_is_told_so(
    cluster: Any, counting: Catalogue, make_course: Callable, submit: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("studium_graders.grading.class_run._PATIENCE_SECONDS", 0.5)
    course: Path = make_course('[[assignments]]\nname = "ps1"\ntopics = ["counting"]\ngpu = true\n')
    build_assignment(course, "ps1", counting)
    submit(course, "ada", {"counting": {}})
    options = GradeOptions(executor="dask", scheduler=cluster.scheduler_address)
    with pytest.raises(TimeoutError, match=r"waiting for a worker that has a GPU: none has started yet \(dask\)"):
        grade_class(course, "ps1", options, counting, Impatient())


def test_a_worker_with_another_kit_than_the_machine_that_has_it_grade_is_named(
    cluster: Any, counting: Catalogue, make_course: Callable, submit: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    course: Path = make_course()
    build_assignment(course, "ps1", counting)
    submit(course, "ada", {"counting": {}})
    package = counting["counting"].package
    own, _ = work.code_of([package])
    monkeypatch.setattr(work, "code_of", lambda packages: (own, *((name, "another") for name in packages)))
    options = GradeOptions(executor="dask", scheduler=cluster.scheduler_address)
    with pytest.raises(CourseError, match=f"^the worker .* must have the same {package} as the machine"):
        grade_class(course, "ps1", options, counting, Quiet())
    assert not list((course / ".studium").rglob("results/*/*"))


def test_without_a_scheduler_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DASK_SCHEDULER_ADDRESS", raising=False)
    with pytest.raises(CourseError, match=r"needs the address of a scheduler; add --scheduler"):
        dask_executor({})
    monkeypatch.setattr("studium_graders.grading.executors._CONNECT_SECONDS", 1)
    with pytest.raises(CourseError, match=r"the dask scheduler at tcp://127.0.0.1:9 does not answer"):
        dask_executor({"scheduler": "tcp://127.0.0.1:9"})


@pytest.mark.heavy
def test_a_class_graded_on_a_cluster_that_loses_a_worker_gets_the_marks_of_one_machine(
    cluster: Any, counting: Catalogue, make_course: Callable, submit: Callable, gradebook_rows: Callable, tmp_path: Path
) -> None:
    course: Path = make_course()
    build_assignment(course, "ps1", counting)
    exercises = counting["counting"].exercises
    wrong = {
        name: "import math\n\n\n" + definition(item.misconceptions[0].function).replace("def _(", f"def {name}(")
        for name, item in exercises.items()
    }
    right = {name: solved(item) for name, item in exercises.items()}
    for number in range(12):
        submit(course, f"s{number}", {"counting": (right, wrong, {})[number % 3]})
    here = Path(shutil.copytree(course, tmp_path / "here"))
    local = grade_class(here, "ps1", GradeOptions(), counting, Quiet())
    watcher = Quiet(3, lambda: threading.Thread(target=kill_a_worker, args=[cluster]).start())
    options = GradeOptions(executor="dask", scheduler=cluster.scheduler_address)
    result = grade_class(course, "ps1", options, counting, watcher)
    assert (result.problems, watcher.sandbox) == ([], local.sandbox)
    assert [(row.student, row.score) for row in result.submissions] == [
        (row.student, row.score) for row in local.submissions
    ]
    assert {row.score for row in result.submissions} == {0, 1, 5}
    assert gradebook_rows(course) == gradebook_rows(here)
