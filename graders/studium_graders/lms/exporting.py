"""``studium export --format canvas|moodle``: fill the marks of a gradebook into the sheet that the system exported."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from studium.catalogue.exporting import ExportOptions
from studium.errors import CourseError

from studium_graders.gradebook.reading import reading_gradebook
from studium_graders.lms.csv_file import COLUMNS, rows_of
from studium_graders.lms.feedback_zip import feedback_zip
from studium_graders.lms.filling import FORMS, Filled, Mark, fill
from studium_graders.lms.matching import Person
from studium_graders.results.store import write_whole

_SHOWN = 20  # lines shown of each list


def write_sheet(
    format: str,  # noqa: A002
    gradebook: str,
    path: Path,
    assignments: tuple[str, ...],
    options: ExportOptions,
) -> Path:
    """Write the filled sheet to ``path``, and report what changed and who is unknown; raise CourseError."""
    if options.into is None:
        raise CourseError(
            f"marks for {format} go into a file that it exported, because only that has its ids: name the file with "
            f"--into"
        )
    marks = list(_marks(gradebook, assignments))
    filled = fill(options.into, FORMS[format], marks, options.columns, scale=options.scale)
    with feedback_zip(filled, marks, options) as pages:
        _report(filled, options)
        if not options.dry_run:
            write_whole(path, filled.sheet.content())
    if pages:
        options.say(f"{options.feedback} has {pages} feedback pages for {len(filled.rows)} students")
    return path


def _marks(gradebook: str, assignments: tuple[str, ...]) -> Iterator[Mark]:
    with reading_gradebook(gradebook) as session:
        for values in rows_of(session, assignments):
            row = dict(zip(COLUMNS, values, strict=True))
            person = Person(row["student_id"], row["email"] or "")
            score = None if row["timestamp"] == "" else row["score"]
            yield Mark(row["assignment"], person, score, row["max_score"])


def _report(filled: Filled, options: ExportOptions) -> None:
    say = options.say
    if options.dry_run:
        for change in filled.changes:
            say(f"{change.student}, {change.assignment}: {change.old or 'empty'} → {change.new}")
    say(f"{len(filled.changes)} marks {'would change' if options.dry_run else 'changed'}")
    _list("students without a row in the file", filled.students, say)
    _list("rows that match no student of the course", filled.others, say)
    _list("nothing handed in, left unchanged", filled.nothing, say)


def _list(title: str, names: Sequence[str], say: Callable[[str], None]) -> None:
    if names:
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        say(f"{title}: {', '.join(names[:_SHOWN])}{more}")
