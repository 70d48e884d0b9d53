"""Students whose answers are the same, and comments that name somebody else. Evidence for a person, never a verdict.

The comparison covers everything a student wrote in the answer cells of an assignment, except cells that are unchanged
since they were handed out. **Identical** answers are the same character for character; **near-identical** ones differ
in comments, docstrings, layout and the names that the code itself defines. If none of a group's answers has more than
two lines of the student's own, chance explains it: the group is listed with a note.

Each student's answers are hashed once, so the cost is one step per answer.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Literal

import msgspec

from studium_graders.engine.material.assignment import CanonicalSubmission, Cell, Material
from studium_graders.grading.answers.named_students import NamedStudents
from studium_graders.grading.answers.plain_answers import plain_code, plain_text, remarks

_SHORT = 2  # lines of a student's own in a cell, up to which many honest students write the same
_LONGEST = 200  # characters of a comment to show


class SameGroup(msgspec.Struct, frozen=True):
    """Students with the same answers. ``cells`` is how many they answered, ``lines`` the most own lines in one of them.

    ``expected``: short answers are often identical by chance.
    """

    students: tuple[str, ...]
    kind: Literal["identical", "near-identical"]
    cells: int
    lines: int
    expected: bool


class Mention(msgspec.Struct, frozen=True):
    """A comment in ``student``'s answer to ``cell`` that contains the id of another student of the class."""

    student: str
    names: str
    cell: str
    comment: str


class SameAnswers(msgspec.Struct, frozen=True):
    """What answers in a class have in common: the longest first, what chance explains last."""

    groups: tuple[SameGroup, ...] = ()
    mentions: tuple[Mention, ...] = ()

    def anonymous(self, numbers: Mapping[str, str]) -> "SameAnswers":
        """Return the same with ``numbers`` instead of ids, and without the comments' words."""
        groups = (
            msgspec.structs.replace(group, students=tuple(sorted(numbers[name] for name in group.students)))
            for group in self.groups
        )
        mentions = (
            Mention(numbers[one.student], numbers[one.names], one.cell, "")
            for one in self.mentions
            if one.names in numbers
        )
        return SameAnswers(tuple(groups), tuple(sorted(mentions, key=lambda one: one.student)))


class Written(msgspec.Struct, frozen=True):
    """What one student wrote, by cell: as it is, plain, and the remarks; ``lines`` are the most own ones of a cell."""

    exact: tuple[tuple[str, str], ...]
    plain: tuple[tuple[str, str], ...]
    lines: int
    remarks: tuple[tuple[str, str], ...]


def written(material: Material, submission: CanonicalSubmission) -> Written:
    """Return what a student wrote in the answer cells of an assignment."""
    books = {book.name: _sources(book.document) for book in submission.notebooks if book.document}
    return written_in(
        (f"{book.name}/{cell.grade_id or cell.id}", cell, books[book.name][cell.id])
        for book in material.notebooks
        for cell in book.cells
        if _is_answer(cell) and cell.id in books.get(book.name, {})
    )


def written_in(cells: Iterable[tuple[str, Cell, str]]) -> Written:
    """Return what is in these cells: for each its name, the cell as it was handed out, and the source now."""
    exact, plain, said, most = [], [], [], 0
    for name, cell, source in cells:
        form = plain_text if cell.kind == "text" else plain_code
        given, own = form(cell.source), form(source)
        if cell.kind == "answer":
            known = set(remarks(cell.source))
            said += [(name, remark) for remark in remarks(source) if remark not in known]
        if own and own != given:
            exact.append((name, source.strip()))
            plain.append((name, own))
            most = max(most, _own_lines(own, given))
    return Written(tuple(exact), tuple(plain), most, tuple(said))


def _own_lines(own: str, given: str) -> int:
    known = set(given.splitlines())
    return sum(line not in known for line in own.splitlines())


def same_answers(everybody: Mapping[str, Written], given: str = "") -> SameAnswers:
    """Return the groups of a class, and the comments with another's id; ``given`` is everything that was handed out."""
    groups = [*_groups(everybody, "identical", lambda one: one.exact)]
    known = {group.students for group in groups}
    near = _groups(everybody, "near-identical", lambda one: one.plain)
    groups += [group for group in near if group.students not in known]
    groups.sort(key=lambda group: (group.expected, -group.lines, -group.cells, -len(group.students), group.students))
    return SameAnswers(tuple(groups), tuple(_mentions(everybody, given)))


def released_text(material: Material) -> str:
    """Return everything that students got in the notebooks of an assignment, as they got it."""
    return "\n".join(cell.source for book in material.notebooks for cell in book.as_released().cells)


def _groups(
    everybody: Mapping[str, Written],
    kind: Literal["identical", "near-identical"],
    key: Callable[[Written], Hashable],
) -> Iterator[SameGroup]:
    together: defaultdict[Hashable, list[str]] = defaultdict(list)
    for student, one in everybody.items():
        if one.plain:
            together[key(one)].append(student)
    for students in together.values():
        if len(students) > 1:
            one = everybody[students[0]]
            yield SameGroup(tuple(sorted(students)), kind, len(one.plain), one.lines, one.lines <= _SHORT)


def _mentions(everybody: Mapping[str, Written], given: str) -> Iterator[Mention]:
    said = {student: [text for _, text in one.remarks] for student, one in everybody.items()}
    named = NamedStudents(said, given)
    for student in sorted(everybody):
        for cell, text in everybody[student].remarks:
            for other in named.in_text(student, text):
                yield Mention(student, other, cell, " ".join(text.split())[:_LONGEST])


def _is_answer(cell: Cell) -> bool:
    return cell.kind == "answer" or (cell.kind == "text" and cell.graded)


def _sources(document: bytes) -> dict[str, str]:
    cells: Sequence[dict[str, str]] = msgspec.json.decode(document)["cells"]
    return {str(cell["id"]): str(cell["source"]) for cell in cells}
