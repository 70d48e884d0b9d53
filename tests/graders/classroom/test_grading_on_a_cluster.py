"""Grading on submission where a cluster does the work: dask's own on this machine, or one node of Slurm's."""

import importlib.util
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("distributed")

import distributed
from studium_classroom.classroom import Classroom
from studium_classroom.roles import Place, Role

from .conftest import join
from .desks import STUDENT, Desk
from .real_hub import free_ports
from .test_whole_way import RIGHT, answer, server

pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # workers that are ended leave their sockets
    pytest.mark.filterwarnings("ignore::DeprecationWarning:distributed"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.xdist_group("dask"),
    pytest.mark.heavy,
]
NO_SLURM = next(
    (
        reason
        for missing, reason in (
            (not shutil.which("sbatch"), "Slurm is not installed: there is no sbatch"),
            (not importlib.util.find_spec("dask_jobqueue"), "dask-jobqueue is not installed"),
        )
        if missing
    ),
    "",
)


def own_cluster(port: int = 0) -> Any:
    return distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, scheduler_port=port, dashboard_address=":0", silence_logs=50
    )


@contextmanager
def slurm_cluster() -> Iterator[Any]:
    from dask_jobqueue import SLURMCluster

    with SLURMCluster(cores=1, processes=1, memory="2GB", walltime="00:20:00") as made:
        made.scale(jobs=1)
        yield made


def graded_with(course: Path, desk: Callable[..., Desk], scheduler: str, meanwhile: Callable[[Desk], None]) -> float:
    """Hand a right answer in to a server that grades on a cluster; return the mark."""
    (course / "classroom.toml").write_text(f'courses = ["."]\nexecutor = "dask"\nscheduler = "{scheduler}"\n')
    opened = Classroom([course], course / "classroom-data")
    token = join(opened, "course101", "ada", Place(Role.STUDENT))
    opened.database.close()
    with server(course) as (_, url):
        ada = desk("ada", url, token, STUDENT)
        ada.nbgrader("fetch_assignment", "ps1")
        answer(ada.folder / "ps1" / "counting.ipynb", RIGHT)
        ada.nbgrader("submit", "ps1")
        meanwhile(ada)
        return marked(ada, "ps1")


def marked(desk: Desk, name: str) -> float:
    """Wait for the mark of the newest attempt."""
    end = time.monotonic() + 300
    while (attempt := desk.attempt(name))["state"] != "graded":
        assert time.monotonic() < end, attempt
        time.sleep(0.5)
    return attempt["score"]


def test_what_is_handed_in_is_graded_by_the_workers_of_a_dask_cluster(course, desk):
    with own_cluster() as cluster:
        assert graded_with(course, desk, cluster.scheduler_address, lambda _: None) == 3.0
        assert "grade" in cluster.scheduler.task_prefixes


def test_what_is_handed_in_while_the_cluster_is_away_waits_for_it(course, desk):
    (port,) = free_ports(1)
    clusters = []

    def start(ada: Desk) -> None:
        assert ada.attempt("ps1")["state"] == "waiting"
        clusters.append(own_cluster(port))

    try:
        assert graded_with(course, desk, f"tcp://127.0.0.1:{port}", start) == 3.0
    finally:
        for cluster in clusters:
            cluster.close()


@pytest.mark.skipif(bool(NO_SLURM), reason=NO_SLURM)
def test_what_is_handed_in_is_graded_by_a_job_of_slurm(course, desk):
    with slurm_cluster() as cluster:
        assert graded_with(course, desk, cluster.scheduler_address, lambda _: None) == 3.0
