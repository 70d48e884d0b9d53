"""A gradebook in PostgreSQL: nbgrader makes it, Studium reads and writes it. Needs a server's programs and psycopg."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("nbgrader")
pytest.importorskip("psycopg")

from nbgrader.api import Gradebook  # nbgrader is an extra
from studium.catalogue.catalogue import load_catalogue
from studium.errors import CourseError
from studium_graders.course.course_file import FILE, read_course
from studium_graders.course.folder import load_config
from studium_graders.course.limits import Limits
from studium_graders.engine.material.assignment import Material
from studium_graders.engine.material.template import material_of

pytestmark = [
    pytest.mark.nbgrader,
    pytest.mark.filterwarnings("ignore:Object of type <Submitted:sqlalchemy.exc.SAWarning"),  # nbgrader's own
    pytest.mark.filterwarnings("ignore::nbformat.warnings.MissingIDFieldWarning"),
]


def load_material(root: Path, assignment: str) -> Material:
    course = read_course(root) if (root / FILE).is_file() else None
    return material_of(load_config(root, course), root, assignment, Limits())


def program(name: str) -> str:
    """Give the path of one of PostgreSQL's programs; Debian keeps them out of PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(found[-1]) if found else shutil.which(name) or ""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The URL of an empty database on a server of these tests' own, which listens to one socket file alone."""
    if not program("initdb"):
        pytest.skip("PostgreSQL's programs are not installed")
    root = os.geteuid() == 0
    user = {"user": "postgres"} if root else {}  # PostgreSQL refuses to run as root
    # A socket's path is at most 107 characters, and the temporary folder of a run is closed to other users.
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp" if root else None))

    def run(*command: str) -> None:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300, **user)
        if done.returncode:
            pytest.skip(f"no PostgreSQL server can be started here: {done.stderr[-200:]}")

    try:
        if root:
            shutil.chown(folder, "postgres")
        data = str(folder / "data")
        run(program("initdb"), "-D", data, "-U", "postgres", "--auth=trust", "--no-sync")
        options = f"-k {folder} -c listen_addresses= -c fsync=off"
        run(program("pg_ctl"), "-D", data, "-w", "-l", str(folder / "log"), "-o", options, "start")
        try:
            run(program("createdb"), "-h", str(folder), "-U", "postgres", "gradebook")
            yield f"postgresql+psycopg://postgres@/gradebook?host={folder}"
        finally:
            run(program("pg_ctl"), "-D", data, "-m", "immediate", "stop")
    except LookupError:
        pytest.skip("there is no user postgres to run a server as")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def course(
    server: str, documentation_course: Path, tmp_path_factory: pytest.TempPathFactory, nbgrader: Callable[..., str]
) -> Path:
    """nbgrader's own documentation course, released by stock nbgrader into PostgreSQL."""
    root = tmp_path_factory.mktemp("postgresql") / "course101"
    shutil.copytree(documentation_course, root)
    (root / "gradebook.db").unlink()
    shutil.rmtree(root / "release")
    with (root / "nbgrader_config.py").open("a") as file:
        file.write(f'c.CourseDirectory.db_url = "{server}"\n')
    nbgrader(root, "generate_assignment", "ps1")
    return root


def test_the_material_has_what_the_database_says(course: Path, server: str) -> None:
    with Gradebook(server) as book:
        book.find_grade_cell("correct_squares", "problem1", "ps1").max_score = 1.25
        book.db.commit()
        points = [cell.points for cell in load_material(course, "ps1").notebooks[0].cells]
        assert 1.25 in points
        book.find_grade_cell("correct_squares", "problem1", "ps1").max_score = 1
        book.db.commit()
    assert not (course / "gradebook.db").exists()


@pytest.mark.heavy
def test_marks_are_recorded_in_it_and_stock_nbgrader_exports_them(
    course: Path, server: str, nbgrader: Callable[..., str]
) -> None:
    from studium_graders.grading.class_run import grade_class
    from studium_graders.grading.options import GradeOptions

    class Quiet:
        def begin(self, total: int, sandbox: str) -> None: ...
        def done(self, student: str, *, reused: bool) -> None: ...
        def note(self, sentence: str) -> None: ...
        def agree(self, changes: object) -> bool:
            return True

    for _ in range(2):  # the second time there are marks already
        result = grade_class(course, "ps1", GradeOptions(jobs=1), load_catalogue(), Quiet())
        assert result.problems == []
        with Gradebook(server) as book:
            found = {student: book.find_submission("ps1", student).score for student in ("bitdiddle", "hacker")}
        assert found == {"bitdiddle": 1.5, "hacker": 3.0}
    nbgrader(course, "export", "--to", "grades.csv")
    assert "hacker" in (course / "grades.csv").read_text()


def test_a_server_that_is_not_there_is_one_sentence(ps1_course: Path) -> None:
    with (ps1_course / "nbgrader_config.py").open("a") as file:
        file.write('c.CourseDirectory.db_url = "postgresql+psycopg://me:secret@/x?host=/nowhere"\n')
    with pytest.raises(CourseError, match="the gradebook") as raised:
        load_material(ps1_course, "ps1")
    assert "secret" not in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_driver_that_is_not_installed_is_one_sentence(ps1_course: Path) -> None:
    with (ps1_course / "nbgrader_config.py").open("a") as file:
        file.write('c.CourseDirectory.db_url = "postgresql+pg8000://me@/x"\n')
    with pytest.raises(CourseError, match="needs pg8000, which is not installed"):
        load_material(ps1_course, "ps1")
