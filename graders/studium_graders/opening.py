"""Opening a course folder, Studium's or one that only nbgrader knows."""

from pathlib import Path

from nbgrader.coursedir import CourseDirectory
from studium.errors import CourseError

from studium_graders.course_file import FILE, read_course
from studium_graders.course_folder import CONFIG, course_directory, load_config


def open_course(root: Path, assignment: str = "") -> CourseDirectory:
    """Return nbgrader's view of the course in ``root``; its ``config`` is the whole configuration.

    Raise CourseError for a folder that is no course, or whose files cannot be used.
    """
    root = root.resolve()
    if not any((root / name).is_file() for name in (FILE, CONFIG, "gradebook.db")):
        raise CourseError(
            f"a course folder has {FILE}, {CONFIG} or gradebook.db: {root} has none; name the course with --course"
        )
    course = read_course(root) if (root / FILE).is_file() else None
    return course_directory(load_config(root, course), assignment)
