"""What the tests of the graders share: a topic, courses that hand it out, and stock nbgrader."""

import importlib
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import nbformat
import pytest
from studium.catalogue.catalogue import Catalogue, load_catalogue
from studium_graders.gradebook.newest_schema import schema_known

HERE = Path(__file__).parent
COURSE = 'id = "course101"\ntimezone = "Europe/Berlin"\n\n{assignments}\n'
COUNTING = '[[assignments]]\nname = "ps1"\ndue = 2026-03-01T23:59:00\ntopics = ["counting"]\n'
NBGRADER = "from studium_graders.nbgrader_config import configure\n\nconfigure(get_config(), __file__)\n"
PATIENT = ("--Execute.timeout=600", "--Execute.iopub_timeout=600")  # for nbgrader's kernel on a busy machine
STOCK = f"{NBGRADER}del get_config().Autograde.autograde_preprocessors  # these courses are graded by nbgrader alone\n"


@pytest.fixture(scope="session", autouse=True)
def machine_with_time() -> Iterator[None]:
    """Judge what is late as on a machine that has time, since the tests themselves fill this one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("studium_graders.engine.supervision.attempt.was_crowded", lambda *_: False)
        yield


@contextmanager
def installed(site: Path, package: str, entry_point: str) -> Iterator[None]:
    """Install a package that lies beside this file in ``site``, for this process and its children."""
    site.chmod(0o755)  # a student's process has another user
    shutil.copytree(HERE / package, site / package)
    distribution = package.replace("_", "-")
    info = site / f"{distribution}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[studium]\n{entry_point} = {package}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(site))
        patch.setenv("PYTHONPATH", str(site), prepend=os.pathsep)
        importlib.invalidate_caches()
        yield


@pytest.fixture(scope="session", autouse=True)
def _schema_known() -> Iterator[None]:
    """Let gradebooks that tests make themselves start no alembic each."""
    with schema_known():
        yield


@pytest.fixture(scope="session")
def counting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalogue]:
    """The catalogue with the topic of these tests, installed for this process and its children."""
    with installed(tmp_path_factory.mktemp("site"), "classroom_topic", "counting"):
        yield load_catalogue()


@pytest.fixture(scope="session")
def make_course(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """make_course(assignments=…, rest=…) → the folder of a new course that hands out the counting topic as ps1."""

    def make(assignments: str = COUNTING, rest: str = "") -> Path:
        root = tmp_path_factory.mktemp("course")
        (root / "course.toml").write_text(COURSE.format(assignments=f"{assignments}\n{rest}"), "utf-8")
        (root / "nbgrader_config.py").write_text(STOCK)
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

    The released notebooks, with the given sources in the answer cells of the exercises, which have the name of their
    cell where they are none of Studium's; all else as released.
    """

    def hand_in(course: Path, student: str, answers: Mapping[str, Mapping[str, str]], when: str = "") -> Path:
        target = course / "submitted" / student / "ps1"
        shutil.copytree(course / "release" / "ps1", target)
        for path in target.glob("*.ipynb"):
            notebook = nbformat.read(path, as_version=4)
            for cell in notebook.cells:
                own, marks = cell.metadata.get("studium", {}), cell.metadata.get("nbgrader", {})
                name = own.get("exercise") if own.get("role") == "exercise" else marks.get("grade_id")
                if name in answers.get(path.stem, {}):
                    cell.source = answers[path.stem][name]
            nbformat.write(notebook, path)
        if when:
            (target / "timestamp.txt").write_text(when)
        return target

    return hand_in


DOCUMENTATION = """\
c = get_config()
c.CourseDirectory.course_id = "course101"
c.IncludeHeaderFooter.header = "source/header.ipynb"
"""


@pytest.fixture(scope="session")
def documentation_guide() -> Path:
    """The folder of nbgrader's own documentation that has its example course; only to be copied."""
    import nbgrader as package

    return Path(package.__file__).parent / "docs" / "source" / "user_guide"


def release(root: Path, assignment: str) -> None:
    """Make an assignment's release as `nbgrader generate_assignment` does, in this process."""
    from studium_graders.assignments.generating import generate_release  # nbgrader is an extra
    from studium_graders.course.finding import open_course

    coursedir = open_course(root, assignment)
    generate_release(coursedir, coursedir.config, None)


@pytest.fixture(scope="session")
def documentation_course(documentation_guide: Path, made_once: Callable[..., Path]) -> Path:
    """The course of nbgrader's own documentation, its ps1 released by nbgrader; only to be copied."""

    def make(root: Path) -> None:
        for name in ("source/header.ipynb", "source/ps1", "submitted"):
            whole = documentation_guide / name
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (shutil.copytree if whole.is_dir() else shutil.copy)(whole, root / name)
        (root / "nbgrader_config.py").write_text(DOCUMENTATION)
        release(root, "ps1")

    return made_once("documentation", make)


@pytest.fixture
def ps1_course(documentation_course: Path, tmp_path: Path) -> Path:
    """A copy of nbgrader's own documentation course: bitdiddle's ps1 is worth 1.5 points there, hacker's 3."""
    return Path(shutil.copytree(documentation_course, tmp_path / "course101"))


@pytest.fixture(scope="session")
def by_hand(counting: Catalogue, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalogue]:
    """The catalogue of ``counting`` with the executors "by-hand", "-slow" and "-held", which need no engine."""
    with installed(tmp_path_factory.mktemp("hand"), "hand_grader", "hand-grader"):
        yield load_catalogue()


@pytest.fixture
def modes() -> Iterator[Callable[[Path], set[tuple[str, str]]]]:
    """modes(path) → the kinds and modes of what is at and below a path. The umask takes nothing away meanwhile."""

    def found(path: Path) -> set[tuple[str, str]]:
        places = [path, *path.rglob("*")] if path.is_dir() else [path]
        return {("folder" if one.is_dir() else "file", oct(one.stat().st_mode & 0o777)) for one in places}

    before = os.umask(0)
    yield found
    os.umask(before)


@pytest.fixture(scope="session")
def gradebook_rows() -> Callable[[Path], dict[str, list[tuple]]]:
    """gradebook_rows(course) → what a gradebook says about submissions, without ids that are made at random."""
    queries = {
        "students": "select id from student",
        "submissions": "select a.name, s.student_id, s.timestamp, s.extension"
        " from submitted_assignment s join assignment a on a.id = s.assignment_id",
        "notebooks": "select s.student_id, n.name, b.late_submission_penalty, b.flagged from submitted_notebook b"
        " join submitted_assignment s on s.id = b.assignment_id join notebook n on n.id = b.notebook_id",
        "grades": "select s.student_id, n.name, c.name, g.auto_score, g.manual_score, g.extra_credit,"
        " g.needs_manual_grade from grade g join submitted_notebook b on b.id = g.notebook_id"
        " join submitted_assignment s on s.id = b.assignment_id join notebook n on n.id = b.notebook_id"
        " join base_cell c on c.id = g.cell_id",
        "comments": "select s.student_id, n.name, c.name, m.auto_comment, m.manual_comment from comment m"
        " join submitted_notebook b on b.id = m.notebook_id join submitted_assignment s on s.id = b.assignment_id"
        " join notebook n on n.id = b.notebook_id join base_cell c on c.id = m.cell_id",
    }

    def rows(course: Path) -> dict[str, list[tuple]]:
        with closing(sqlite3.connect(course / "gradebook.db")) as database:
            return {name: sorted(database.execute(query), key=repr) for name, query in queries.items()}

    return rows
