"""Open a course folder, Studium's or one that only nbgrader knows."""

from pathlib import Path

from nbgrader.coursedir import CourseDirectory
from studium.errors import CourseError

from studium_graders.course.course_file import FILE, read_course
from studium_graders.course.folder import CONFIG, course_directory, folder, load_config


def open_course(root: Path, assignment: str = "") -> CourseDirectory:
    """Return nbgrader's view of the course in ``root``; its ``config`` is the whole configuration.

    Raise CourseError for a folder that is not a course, or whose files cannot be used, and for an ``assignment`` that
    is in course.toml but has not been built.
    """
    root = root.resolve()
    if not any((root / name).is_file() for name in (FILE, CONFIG, "gradebook.db")):
        raise CourseError(
            f"a course folder has {FILE}, {CONFIG} or gradebook.db: {root} has none; name the course with --course"
        )
    course = read_course(root) if (root / FILE).is_file() else None
    directory = course_directory(load_config(root, course), assignment)
    steps = (directory.source_directory, directory.release_directory)
    described = [one for one in course.assignments if one.name == assignment] if course else []
    if described and not any(folder(directory, step, assignment).is_dir() for step in steps):
        ours = described[0].topics or described[0].exercises
        build = "studium assign" if ours else "nbgrader generate_assignment"
        raise CourseError(f"{assignment} must be built first: it is only in {FILE} so far; run: {build} {assignment}")
    return directory
