"""What the tests of the graders share: a topic, courses that hand it out, and stock nbgrader."""

import importlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import nbformat
import pytest
from studium.catalogue import Catalogue, load_catalogue

HERE = Path(__file__).parent
COURSE = 'id = "course101"\ntimezone = "Europe/Berlin"\n\n{assignments}\n'
COUNTING = '[[assignments]]\nname = "ps1"\ndue = 2026-03-01T23:59:00\ntopics = ["counting"]\n'
NBGRADER = "from studium_graders.nbgrader_config import configure\n\nconfigure(get_config(), __file__)\n"


@pytest.fixture(scope="session")
def counting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalogue]:
    """The catalogue with the topic of these tests, installed for this process and its children."""
    site = tmp_path_factory.mktemp("site")
    shutil.copytree(HERE / "classroom_topic", site / "classroom_topic")
    info = site / "classroom_topic-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: classroom-topic\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[studium]\ncounting = classroom_topic\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(site))
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, (str(site), os.environ.get("PYTHONPATH", "")))))
        importlib.invalidate_caches()
        yield load_catalogue()


@pytest.fixture(scope="session")
def make_course(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """make_course(assignments=…, rest=…) → the folder of a new course that hands out the counting topic as ps1."""

    def make(assignments: str = COUNTING, rest: str = "") -> Path:
        root = tmp_path_factory.mktemp("course")
        (root / "course.toml").write_text(COURSE.format(assignments=f"{assignments}\n{rest}"), "utf-8")
        (root / "nbgrader_config.py").write_text(NBGRADER)
        return root

    return make


@pytest.fixture(scope="session")
def nbgrader(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """nbgrader(course, "autograde", "ps1") → what stock nbgrader's command line said; it must succeed."""
    home = tmp_path_factory.mktemp("home")

    def run(course: Path, *arguments: str) -> str:
        scripts = str(Path(sys.executable).parent)
        own = {"HOME": str(home), "PATH": os.pathsep.join((scripts, os.environ["PATH"])), "PYTHONWARNINGS": "ignore"}
        command = [sys.executable, "-m", "nbgrader", *arguments]
        done = subprocess.run(
            command, cwd=course, env=os.environ | own, capture_output=True, text=True, check=False, timeout=600
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


@pytest.fixture(scope="session")
def submit() -> Callable[..., Path]:
    """submit(course, "alice", {"counting": {"total": source}}, when=…) → the notebook folder that alice handed in.

    The released notebooks, with the given sources in the answer cells of the exercises; all else as released.
    """

    def hand_in(course: Path, student: str, answers: Mapping[str, Mapping[str, str]], when: str = "") -> Path:
        target = course / "submitted" / student / "ps1"
        shutil.copytree(course / "release" / "ps1", target)
        for path in target.glob("*.ipynb"):
            notebook = nbformat.read(path, as_version=4)
            for cell in notebook.cells:
                own = cell.metadata.get("studium", {})
                if own.get("role") == "exercise" and own["exercise"] in answers.get(path.stem, {}):
                    cell.source = answers[path.stem][own["exercise"]]
            nbformat.write(notebook, path)
        if when:
            (target / "timestamp.txt").write_text(when)
        return target

    return hand_in
