"""Nothing is downloaded: any attempt to reach another machine is a problem."""

import re
from collections.abc import Callable, Iterator

from studium.authoring.blockade import FETCHES
from studium.authoring.findings import Finding
from studium.authoring.subject import Subject

_MAGIC = re.compile(r"^[ \t]*[!%]+.*", re.MULTILINE)


def offline(subject: Subject) -> Finding:
    """Check that the lesson, the exercises and their tests try to reach no other machine."""
    return Finding(list(_online(subject)), "nothing tried to reach another machine")


def _online(subject: Subject) -> Iterator[str]:
    say: Callable[[str, str], str] = (
        "nothing may be downloaded at run time, because classrooms are offline: {} tries to reach {}; generate the "
        "data, or take it from an installed package"
    ).format
    for target in subject.attempts:
        yield say("an exercise or a module that it imports", target)
    for event in subject.lesson_run.events:
        for target in event.wanted:
            yield say(f"{subject.place(event.cell)}, in the {event.edition},", target)
    for cell in subject.lesson.cells:
        for line in _MAGIC.findall(cell.source) if cell.cell_type == "code" else ():
            if FETCHES.search(line):
                yield say(subject.place(str(cell.id)), line.strip())
