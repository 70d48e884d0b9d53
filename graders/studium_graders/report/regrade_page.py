"""What a regrade would change, as one HTML file to look at before it counts."""

from collections import defaultdict
from collections.abc import Sequence

from studium_graders.grading.class_result import ClassResult
from studium_graders.grading.regrading import Regrade
from studium_graders.report.rendering import render
from studium_graders.results.mark_changes import LATE


def regrade_page(result: ClassResult, changes: Sequence[Regrade], *, dry_run: bool) -> str:
    """Return the page of the changes of a grading run."""
    students: defaultdict[str, list[Regrade]] = defaultdict(list)
    tests: defaultdict[str, list[Regrade]] = defaultdict(list)
    for change in changes:
        students[change.student].append(change)
        tests[f"{change.notebook}/{change.cell}"].append(change)
    nets = {student: sum(map(net, rows)) for student, rows in students.items()}
    return render(
        "regrade.html",
        result=result,
        changes=changes,
        dry_run=dry_run,
        late=LATE,
        students=sorted(students.items(), key=lambda pair: (nets[pair[0]], pair[0])),
        nets=nets,
        tests=sorted(tests.items(), key=lambda pair: -len(pair[1])),
        gaining=sum(value > 0 for value in nets.values()),
        losing=sum(value < 0 for value in nets.values()),
    )


def net(change: Regrade) -> float:
    """Return what a student gains by a change; a mark that a person gives counts as 0."""
    difference = (change.after or 0.0) - (change.before or 0.0)
    return -difference if change.cell == LATE else difference
