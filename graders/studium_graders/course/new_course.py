"""Create a course folder: course.toml with an example that works at once, and nbgrader's configuration."""

import tempfile
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path

from studium.catalogue.catalogue import Catalogue
from studium.errors import CourseError, StudiumError

from studium_graders.course.course_file import is_usable_name
from studium_graders.course.private_files import private_folder

_COURSE = """\
# The course: what it hands out, when, and what a late answer costs. After a change run: studium assign NAME
id = "{name}"
title = "{name}"
timezone = "UTC"   # of the due dates below, such as "Europe/Berlin"

{assignment}
# Single exercises in place of whole topics, with points of your own:
# [[assignments]]
# name = "ps2"
# due = {due}T23:59:00
# exercises = ["{topic}.{exercise}"]
# points = {{ "{topic}.{exercise}" = 5 }}

[late]
policy = "none"          # or "zero", "per-day", "per-hour"
# penalty_percent = 10   # of the points earned, for each day or hour that has begun
# grace_minutes = 15     # within which nothing is lost; then the clock starts
# cap_percent = 50       # never more than this
# late_days = 3          # that each student may be late in the whole term before it costs anything

# The limits of a submission while it is graded. An assignment may change some: limits = {{ call_seconds = 60 }}
# [limits]
# call_seconds = 30        # one cell, or one call of a student's function
# submission_seconds = 300 # a whole submission, all its notebooks
# memory_mb = 3072
# processes = 64           # and threads, together
# disk_mb = 256
# output_kb = 256          # printed output that is kept of each cell
"""
_EXAMPLE = """\
[[assignments]]
name = "ps1"
due = {due}T23:59:00
topics = ["{topic}"]
experiments = false   # true keeps the cells that train and measure
"""
_NBGRADER = """\
from studium_graders.nbgrader_config import configure

configure(get_config(), __file__)
"""


def make_course(name: str, root: Path, catalogue: Catalogue) -> Path:
    """Create the course folder ``root`` in one step. Raise CourseError for a bad id or a folder that exists."""
    if not is_usable_name(name):
        raise CourseError(
            f"a course id must be letters, digits, hyphens, dots and underscores: got {name!r}; change it"
        )
    if root.exists():
        raise CourseError(f"a new course needs a new folder: {root} exists already; choose another name or --dir")
    root.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root.parent, prefix=f".{root.name}.") as made:
        staged = Path(made) / "course"
        private_folder(staged)
        (staged / "course.toml").write_text(course_text(name, catalogue), "utf-8")
        (staged / "nbgrader_config.py").write_text(_NBGRADER, "utf-8")
        staged.rename(root)
    return root


def course_text(name: str, catalogue: Catalogue) -> str:
    """Return a commented course.toml whose first assignment is the first topic that has exercises."""
    topic, exercise = _example(catalogue)
    values = {"name": name, "due": (date.today() + timedelta(days=14)).isoformat(), "topic": topic or "lora"}
    example = _EXAMPLE.format(**values)
    if not topic:
        example = "".join(f"# {line}\n" for line in example.splitlines())
    return _COURSE.format(**values, exercise=exercise or "merge", assignment=example)


def _example(catalogue: Catalogue) -> tuple[str, str]:
    """Return the first topic that has exercises, and the first of them, skipping topics that do not load."""
    for topic in catalogue.topics:
        with suppress(StudiumError):
            if topic.exercises:
                return topic.slug, next(iter(topic.exercises))
    return "", ""
