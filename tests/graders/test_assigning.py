"""Building source/ and release/: all or nothing, and nothing of the instructor's is lost."""

import errno
import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import nbformat
import pytest

pytest.importorskip("nbgrader")

import studium_graders.assignments.building
import studium_graders.course.folder_swap
import studium_graders.gradebook.guard
from nbgrader.api import Gradebook  # nbgrader is an extra
from nbgrader.converters import GenerateAssignment
from studium.catalogue.catalogue import Catalogue
from studium.errors import CourseError
from studium_graders.assignments.building import build_assignment
from studium_graders.gradebook.errors import GradebookError

pytestmark = [
    pytest.mark.nbgrader,
    pytest.mark.filterwarnings("ignore:Object of type <Submitted:sqlalchemy.exc.SAWarning"),  # nbgrader's own
]
Studium = Callable[..., tuple[int, str, str]]


def contents(root: Path) -> dict[str, bytes]:
    """Everything below a folder but the database, whose pages may be laid out anew."""
    files = (path for path in sorted(root.rglob("*")) if path.is_file() and path.suffix != ".db")
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


def points(root: Path) -> dict[str, float]:
    with Gradebook(f"sqlite:///{root / 'gradebook.db'}") as gradebook:
        cells = [cell for notebook in gradebook.find_assignment("ps1").notebooks for cell in notebook.grade_cells]
        return {cell.name: cell.max_score for cell in cells}


@pytest.fixture(scope="module")
def built(counting: Catalogue, make_course: Callable[..., Path]) -> Path:
    """A course whose ps1 is built; a new gradebook takes nbgrader seconds, so tests work on copies."""
    root = make_course()
    build_assignment(root, "ps1", counting)
    return root


@pytest.fixture
def course(built: Path, tmp_path: Path) -> Path:
    """A course whose ps1 is built, to be changed."""
    return Path(shutil.copytree(built, tmp_path / "course"))


def test_the_release_has_stubs_and_the_gradebook_the_due_date_and_the_points(course: Path) -> None:
    text = (course / "release" / "ps1" / "counting.ipynb").read_text("utf-8")
    assert "raise NotImplementedError()" in text
    assert "running_secret" not in text
    assert "the hidden sum" not in text
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as gradebook:
        assert f"{gradebook.find_assignment('ps1').duedate}" == "2026-03-01 22:59:00"
    assert sum(points(course).values()) == 5


def test_the_command_prints_a_table_or_json(counting: Catalogue, course: Path, studium: Studium) -> None:
    code, out, _ = studium("assign", "ps1", "--course", str(course), "--no-check")
    assert code == 0
    assert "total, distance  5       2026-03-01 23:59 CET" in out
    code, out, _ = studium("assign", "ps1", "--course", str(course), "--json")
    told = json.loads(out)
    assert told["notebooks"] == [{"notebook": "counting", "exercises": ["total", "distance"], "points": 5}]
    assert told["due"] == "2026-03-01T23:59:00+01:00"
    assert {(test["mode"], test["reason"]) for test in told["tests"]} == {("verified", "")}
    assert sum(test["max_points"] for test in told["tests"]) == 5
    code, out, _ = studium("assign", "ps1", "--course", str(course), "--json", "--no-check")
    assert (json.loads(out)["tests"], json.loads(out)["vacuous"]) == (None, None)


def test_a_notebook_of_the_instructors_own_is_in_the_table_with_its_points(
    counting: Catalogue, course: Path, studium: Studium
) -> None:
    marks = {"schema_version": 3, "grade_id": "why", "grade": True, "solution": True, "locked": False, "task": False}
    essay = nbformat.v4.new_markdown_cell("Why?", metadata={"nbgrader": marks | {"points": 4}})
    nbformat.write(nbformat.v4.new_notebook(cells=[essay]), course / "source" / "ps1" / "essay.ipynb")
    code, out, _ = studium("assign", "ps1", "--course", str(course), "--no-check")
    assert code == 0
    assert "essay     your own notebook  4       2026-03-01 23:59 CET" in out


def test_a_topic_that_nobody_has_is_a_problem_of_course_toml(
    make_course: Callable[..., Path], studium: Studium
) -> None:
    root = make_course('[[assignments]]\nname = "ps1"\ntopics = ["conting"]\n')
    code, _, err = studium("assign", "ps1", "--course", str(root))
    assert code == 1
    assert f"{root}/course.toml cannot be used for ps1: unknown topic 'conting'; did you mean " in err


def test_an_assignment_that_is_not_built_is_told_how_to_be(course: Path, studium: Studium) -> None:
    with (course / "course.toml").open("a") as file:
        file.write('\n[[assignments]]\nname = "ps2"\ntopics = ["counting"]\n')
    said = "studium: ps2 must be built first: it is only in course.toml so far; run: studium assign ps2\n"
    for command in ("grade", "feedback"):
        assert studium(command, "ps2", "--course", str(course)) == (1, "", said)


def test_header_and_footer_of_the_course_stand_around_each_notebook_wherever_the_command_is_run(
    counting: Catalogue, course: Path, submit: Callable[..., Path], studium: Studium
) -> None:
    rules = {"schema_version": 3, "grade_id": "rules", "grade": False, "solution": False, "locked": True, "task": False}
    texts = {"header": nbformat.v4.new_markdown_cell("Cite your sources.", metadata={"nbgrader": rules})}
    texts["footer"] = nbformat.v4.new_markdown_cell("The end.")
    settings = [(course / "nbgrader_config.py").read_text("utf-8"), "c = get_config()"]
    for name, cell in texts.items():
        nbformat.write(nbformat.v4.new_notebook(cells=[cell]), course / "source" / f"{name}.ipynb")
        settings.append(f'c.IncludeHeaderFooter.{name} = "source/{name}.ipynb"')
    (course / "nbgrader_config.py").write_text("\n".join(settings), "utf-8")
    build_assignment(course, "ps1", counting)
    released = nbformat.read(course / "release" / "ps1" / "counting.ipynb", as_version=4)
    assert (released.cells[0].source, released.cells[-1].source) == ("Cite your sources.", "The end.")
    submit(course, "ada", {})
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as gradebook:
        gradebook.add_student("ada")
        gradebook.add_submission("ps1", "ada")
    assert studium("assign", "ps1", "--course", str(course), "--no-check")[0] == 0  # the header's cell is still there
    (course / "source" / "header.ipynb").write_text("rules")
    code, _, err = studium("assign", "ps1", "--course", str(course))
    assert (code, "source/header.ipynb" in err, "must be a valid notebook" in err) == (1, True, True)


def test_building_again_gives_the_same_bytes_and_leaves_nothing_behind(counting: Catalogue, course: Path) -> None:
    before = contents(course)
    build_assignment(course, "ps1", counting)
    assert contents(course) == before


def test_links_in_the_source_folder_stay_links_and_the_files_that_they_lead_to_are_released(
    counting: Catalogue, course: Path
) -> None:
    shared, source, release = course / "shared", course / "source" / "ps1", course / "release" / "ps1"
    (shared / "folder").mkdir(parents=True)
    (shared / "data.csv").write_text("1,2\n")
    (source / "more").mkdir()
    links = {
        "data.csv": "../../shared/data.csv",
        "more/same.csv": f"{shared}/data.csv",
        "folder": "../../shared/folder",
    }
    for name, target in links.items():
        (source / name).symlink_to(target)
    for _ in range(2):
        build_assignment(course, "ps1", counting)
    assert {name: str((source / name).readlink()) for name in links} == links
    assert [(release / name).read_text() for name in ("data.csv", "more/same.csv")] == ["1,2\n"] * 2
    assert not any(path.is_symlink() for path in release.rglob("*"))
    assert sorted(path.name for path in release.iterdir()) == ["counting.ipynb", "data.csv", "more"]  # as nbgrader


def no_space(*args: object, **kwargs: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def move_once(path: Path, target: Path) -> Path:
    if path.name == "ps1" and "release" in str(target) and path.parent.parent.name.startswith(".studium-"):
        no_space()
    return original_rename(path, target)


original_rename = Path.rename
FULL_DISK = {
    "while source is written": (studium_graders.assignments.building, "write_notebook", no_space),
    "while nbgrader writes release": (GenerateAssignment, "write_single_notebook", no_space),
    "while the folders change places": (Path, "rename", move_once),
}


@pytest.mark.parametrize(("owner", "name", "fails"), FULL_DISK.values(), ids=FULL_DISK)
def test_a_full_disk_changes_nothing(
    owner: object, name: str, fails: Callable, counting: Catalogue, course: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, marks = contents(course), points(course)
    text = (course / "course.toml").read_text("utf-8")
    (course / "course.toml").write_text(
        text.replace("topics =", 'points = { "counting.total" = 9 }\ntopics ='), "utf-8"
    )
    monkeypatch.setattr(owner, name, fails)
    with pytest.raises((OSError, CourseError), match="No space left on device"):
        build_assignment(course, "ps1", counting)
    monkeypatch.undo()
    (course / "course.toml").write_text(text, "utf-8")
    assert contents(course) == before
    assert points(course) == marks


def test_a_first_build_that_fails_leaves_no_gradebook(
    counting: Catalogue, make_course: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_course()
    monkeypatch.setattr(GenerateAssignment, "write_single_notebook", no_space)
    with pytest.raises(CourseError, match=r"nbgrader could not generate ps1: OSError.*nothing was changed"):
        build_assignment(root, "ps1", counting)
    assert sorted(path.name for path in root.iterdir()) == ["course.toml", "nbgrader_config.py"]


UNWORKABLE = {
    "CourseDirectory.directory_structure = 'work'": r"must have \{nbgrader_step\}.*: got 'work'",
    "GenerateAssignment.preprocessors = ['no.such.Kind']": "could not generate ps1: ModuleNotFoundError",
    "GenerateAssignment.pre_convert_hook = 'hook'": "could not generate ps1: ValueError: not enough values",
}


def test_settings_with_which_nbgrader_cannot_work_are_one_sentence_and_change_nothing(
    counting: Catalogue, course: Path
) -> None:
    file = course / "nbgrader_config.py"
    settings, before = file.read_text(), set(course.rglob("*"))
    for setting, why in UNWORKABLE.items():
        file.write_text(f"{settings}get_config().{setting}\n")
        with pytest.raises(CourseError, match=f"{why}.*correct it"):
            build_assignment(course, "ps1", counting)
    assert set(course.rglob("*")) == before
    file.write_text("c = get_confg()\n")
    with pytest.raises(CourseError, match=r"nbgrader_config\.py must be Python that configures nbgrader: NameError"):
        build_assignment(course, "ps1", counting)


def test_nothing_is_left_behind_where_nbgraders_settings_have_the_course_elsewhere(
    counting: Catalogue, course: Path, tmp_path: Path
) -> None:
    before = set(course.rglob("*"))
    here = tmp_path / "here"
    here.mkdir()
    shutil.copy(course / "course.toml", here)
    (here / "nbgrader_config.py").write_text(f"get_config().CourseDirectory.root = {str(course)!r}")
    assert build_assignment(here, "ps1", counting).source == str(course / "source" / "ps1")
    assert set(course.rglob("*")) == before


def test_a_path_in_which_nbgrader_finds_no_notebooks_is_named(counting: Catalogue, course: Path) -> None:
    root = course.rename(course.with_name("spring [2026]"))
    with pytest.raises(CourseError, match=r"path without \[: got .*spring \[2026\]; rename the folder"):
        build_assignment(root, "ps1", counting)


def test_a_file_beside_the_notebooks_that_cannot_be_copied_is_named(counting: Catalogue, course: Path) -> None:
    place = course / "source" / "ps1" / "data.csv"
    place.symlink_to("nowhere")
    with pytest.raises(CourseError, match=rf"^{place} must be a file that can be copied: .*; repair it or remove it$"):
        build_assignment(course, "ps1", counting)


def test_a_gradebook_that_is_damaged_or_locked_gets_one_sentence_and_nothing_changes(
    counting: Catalogue, course: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(studium_graders.gradebook.guard, "WAIT_SECONDS", 0.5)
    before = contents(course)
    with closing(sqlite3.connect(course / "gradebook.db")) as other:
        other.execute("begin exclusive")
        with pytest.raises(GradebookError, match=r"gradebook\.db is locked by another program"):
            build_assignment(course, "ps1", counting)
    (course / "gradebook.db").write_bytes(b"no database" * 500)
    with pytest.raises(GradebookError, match=r"gradebook\.db is damaged; restore a copy"):
        build_assignment(course, "ps1", counting)
    assert contents(course) == before


def test_building_again_keeps_marks_and_a_change_of_cells_is_refused(counting: Catalogue, course: Path) -> None:
    cell = "counting-total-is-zero-for-no-values"
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as gradebook:
        gradebook.add_student("alice")
        gradebook.add_submission("ps1", "alice")
        grade = gradebook.find_grade(cell, "counting", "ps1", "alice")
        grade.auto_score, grade.manual_score = 0.0, 0.5
        gradebook.db.commit()
    build_assignment(course, "ps1", counting)
    before = contents(course)
    text = (course / "course.toml").read_text("utf-8")
    (course / "course.toml").write_text(
        text.replace('topics = ["counting"]', 'exercises = ["counting.total"]'), "utf-8"
    )
    with pytest.raises(
        CourseError, match=r"ps1 has 1 submission, so its graded cells must stay: .* and 2 more would be"
    ):
        build_assignment(course, "ps1", counting)
    (course / "course.toml").write_text(text, "utf-8")
    assert contents(course) == before
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as gradebook:
        assert gradebook.find_grade(cell, "counting", "ps1", "alice").score == 0.5


def changed(course: Path) -> Path:
    """Correct a hidden test by hand, as an instructor does in Jupyter, which writes outputs and a kernel, too."""
    path = course / "source" / "ps1" / "counting.ipynb"
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.source = cell.source.replace("-3.0, message=", "-3.0, rtol=0.1, message=")
            cell.outputs = [nbformat.v4.new_output("stream", text="seen")]
    notebook.metadata.kernelspec.display_name = "another"
    nbformat.write(notebook, path)
    return path


def test_a_notebook_that_was_changed_in_source_is_kept_and_said_to_be(course: Path, studium: Studium) -> None:
    path = changed(course)
    before = path.read_bytes()
    code, out, _ = studium("assign", "ps1", "--course", str(course), "--no-check")
    assert code == 0
    assert "changed in source/ps1 and kept (--replace rebuilds it): counting\n" in out
    assert path.read_bytes() == before
    assert not (course / ".studium" / "replaced").exists()


def test_replace_builds_a_changed_notebook_anew_and_keeps_a_copy_each_time(course: Path, studium: Studium) -> None:
    built = (course / "source" / "ps1" / "counting.ipynb").read_bytes()
    copies = course / ".studium" / "replaced" / "ps1"
    for number in (1, 2):
        before = changed(course).read_bytes()
        code, out, _ = studium("assign", "ps1", "--course", str(course), "--replace", "--no-check")
        assert (code, f"are kept in {copies / f'counting-{number}.ipynb'}\n" in out) == (0, True)
        assert (copies / f"counting-{number}.ipynb").read_bytes() == before
        assert (course / "source" / "ps1" / "counting.ipynb").read_bytes() == built


def test_outputs_and_a_kernel_that_jupyter_wrote_are_no_change(counting: Catalogue, course: Path) -> None:
    path = course / "source" / "ps1" / "counting.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[-1].outputs = [nbformat.v4.new_output("stream", text="seen")]
    notebook.metadata.kernelspec.display_name = "another"
    nbformat.write(notebook, path)
    assert build_assignment(course, "ps1", counting).kept == []
