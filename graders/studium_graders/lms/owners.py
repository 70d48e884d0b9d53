"""Whose each entry of a system's archive is: definitely one student's, a stranger's, or impossible to tell."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from studium_graders.lms.archive import Entries, Entry, numbers_in


@dataclass(frozen=True)
class Unclear:
    """The name of an entry whose owner is uncertain, and the students of the course who might be."""

    name: str
    students: list[str]


@dataclass(frozen=True)
class Owners:
    """The entries of each student, those without a certain owner, people who are not students, and what is not a
    submission.
    """

    mine: dict[str, list[Entry]]
    unclear: list[Unclear]
    unknown: list[str]
    others: list[str]


def owners_of(entries: Entries, system: str, numbers: Mapping[str, str]) -> Owners:
    """Return whose the entries are.

    ``numbers`` has the student for each of the system's numbers, "" for somebody outside the course. Only these numbers
    count: others in a file's name are harmless.
    """
    mine: defaultdict[str, list[Entry]] = defaultdict(list)
    unclear, unknown, others = [], {}, list(entries.unusable)
    for entry in entries.files:
        student, name = numbers.get(entry.key, ""), entry.info.filename
        if _students(entry.also, numbers) - {student}:
            unclear.append(Unclear(name, sorted(_students(entry.also | {entry.key}, numbers) - {""})))
        elif student:
            mine[student].append(entry)
        else:
            unknown[entry.key] = f"{entry.person} ({entry.key})"
    for name in entries.unread:
        if students := _students(numbers_in(name, system), numbers) - {""}:
            unclear.append(Unclear(name, sorted(students)))
        else:
            others.append(name)
    return Owners(mine, unclear, sorted(unknown.values()), others)


def _students(keys: Collection[str], numbers: Mapping[str, str]) -> set[str]:
    return {numbers[key] for key in keys if key in numbers}
