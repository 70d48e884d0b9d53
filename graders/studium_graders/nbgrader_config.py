"""nbgrader's configuration, taken from course.toml. A course's ``nbgrader_config.py`` calls it in three lines."""

from pathlib import Path
from typing import Any

from sqlalchemy.engine import make_url
from studium.errors import StudiumError

from studium_graders.course.course_file import Course, read_course

_STOCK = [
    "nbgrader.preprocessors.Execute",
    "nbgrader.preprocessors.IgnorePattern",
    "nbconvert.preprocessors.ClearMetadataPreprocessor",
    "nbgrader.preprocessors.LimitOutput",
    "nbgrader.preprocessors.SaveAutoGrades",
    "nbgrader.preprocessors.AssignLatePenalties",
    "nbgrader.preprocessors.CheckCellMetadata",
]
_OURS = {
    "Execute": "studium_graders.grading.preprocessor.SplitExecute",
    "SaveAutoGrades": "studium_graders.grading.preprocessor.SaveGrades",
}
_RELEASE = [
    "nbgrader.preprocessors.IncludeHeaderFooter",
    "nbgrader.preprocessors.InstantiateTests",
    "nbgrader.preprocessors.LockCells",
    "nbgrader.preprocessors.ClearSolutions",
    "nbgrader.preprocessors.ClearOutput",
    "nbgrader.preprocessors.CheckCellMetadata",
    "nbgrader.preprocessors.ComputeChecksums",
    "nbgrader.preprocessors.SaveCells",
    "nbgrader.preprocessors.ClearHiddenTests",
    "nbgrader.preprocessors.ClearMarkScheme",
    "nbgrader.preprocessors.ComputeChecksums",
    "nbgrader.preprocessors.CheckCellMetadata",
]
_FEEDBACK = [
    "nbgrader.preprocessors.GetGrades",
    "nbconvert.preprocessors.CSSHTMLHeaderPreprocessor",
    "nbgrader.preprocessors.ClearHiddenTests",
]


def configure(config: Any, file: str) -> None:
    """Configure nbgrader for the course whose ``nbgrader_config.py`` is ``file``.

    Exits with one sentence if course.toml cannot be used, because marks without the late policy would be wrong.
    """
    root = Path(file).resolve().parent
    reach_gradebook(config.CourseDirectory, root)
    try:
        apply_course(config, read_course(root), root)
    except StudiumError as error:
        raise SystemExit(f"studium: {error}") from error


def apply_course(config: Any, course: Course, root: Path) -> None:
    """Set course id, folder, time zone and late policy in a traitlets ``config``."""
    config.CourseDirectory.course_id = course.id
    config.CourseDirectory.root = str(root)
    config.NbGraderAPI.timezone = course.timezone
    config.Exchange.timezone = course.timezone
    config.AssignLatePenalties.plugin_class = "studium_graders.grading.late.policy.LatePolicy"
    config.LatePolicy.policy = course.late.policy
    config.LatePolicy.penalty_percent = course.late.penalty_percent
    config.LatePolicy.grace_minutes = course.late.grace_minutes
    config.LatePolicy.cap_percent = course.late.cap_percent
    release_starting_cells(config)
    grade_with_engine(config)


def release_starting_cells(config: Any) -> None:
    """Make ``nbgrader generate_assignment`` put the starting code of an exercise with a bug into its cell.

    A course can override this by setting ``c.GenerateAssignment.preprocessors`` afterwards: with nbgrader's own
    ClearSolutions, such a cell starts with nbgrader's stub.
    """
    own = config.GenerateAssignment.get("preprocessors")
    config.GenerateAssignment.preprocessors = [
        "studium_graders.starting_cells.StartingCells" if _name(item) == "ClearSolutions" else item
        for item in (own if isinstance(own, list) else _RELEASE)
    ]


def reach_gradebook(settings: Any, root: Path) -> None:
    """Set the address of the gradebook in ``root`` if none is set and nbgrader's own would lead elsewhere."""
    if "db_url" not in settings and (address := sqlite_url(file := root / "gradebook.db")) != f"sqlite:///{file}":
        settings.db_url = address


def sqlite_url(file: Path) -> str:
    """Return the database URL of a file, with ``%`` and ``?`` escaped."""
    plain = f"sqlite:///{file}"
    if make_url(plain).database == str(file):
        return plain
    return "sqlite:///" + str(file).replace("%", "%25").replace("?", "%3F")


def grade_with_engine(config: Any) -> None:
    """Make ``nbgrader autograde`` and formgrader grade with Studium's engine; this works for any nbgrader course.

    A course can override this by setting ``c.Autograde.autograde_preprocessors`` afterwards. Pages of submissions that
    nbgrader shows lose their scripts.
    """
    config.HTMLExporter.sanitize_html = True
    if "preprocessors" not in config.GenerateFeedback:
        config.GenerateFeedback.preprocessors = _FEEDBACK
    own = config.Autograde.get("autograde_preprocessors")
    config.Autograde.autograde_preprocessors = [
        _OURS.get(_name(item), item) for item in (own if isinstance(own, list) else _STOCK)
    ]


def _name(item: Any) -> str:
    """Return the bare name of a preprocessor, which a configuration has as a class or as a dotted name."""
    return str(getattr(item, "__name__", item)).rpartition(".")[2]
