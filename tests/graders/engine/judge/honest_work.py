"""Honest work as courses and students write it: the files in honest/, one exercise each.

A file has cells between ``# %%`` lines: ``given``, ``stub``, ``reference``, any number of ``test`` and ``answer``;
``and`` is the next answer cell of the same student.
``# %% test 0=0.25`` says that the reference (0; 1 is the stub, 2 the first answer) gets 0.25 points from us on purpose,
where nbgrader gives others, for the reason in the line ``# why:``. ``# hidden`` says that the tests are secret.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from .notebooks import STUB, answer, checked, given, material

HERE = Path(__file__).parent / "honest"
_CELL = re.compile(r"^# %% (\w+)(.*)\n", re.MULTILINE)


@dataclass
class Work:
    name: str
    hidden: bool = False
    cells: list[tuple] = field(default_factory=list)
    references: list[str] = field(default_factory=list)
    answers: list[list[str]] = field(default_factory=list)
    differs: dict[tuple[int, str], str] = field(default_factory=dict)
    tests: int = 0

    def notebook(self):
        return material(*self.cells, name=self.name)

    def versions(self):
        return [self.references, [None] * len(self.references), *self.answers]


def read_work(path):
    head, *parts = _CELL.split(path.read_text())
    work = Work(path.stem, hidden="# hidden" in head)
    stub = STUB
    for kind, marks, source in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
        if kind == "given":
            work.cells.append(given(source, locked=True))
        elif kind == "stub":
            stub = source
        elif kind == "reference":
            work.cells.append(answer(source, stub=stub))
            work.references.append(source)
            stub = STUB
        elif kind == "test":
            name = f"t{work.tests}"
            for number, points in re.findall(r"(\d+)=([\d.]+)", marks):
                work.differs[int(number), name] = str(float(points))
            work.cells.append(checked(source, id=name, grade_id=name, hidden=work.hidden))
            work.tests += 1
        elif kind == "answer":
            work.answers.append([source])
        else:
            assert kind == "and", f"{path} has a cell of kind {kind}"
            work.answers[-1].append(source)
    return work


WORKS = [read_work(path) for path in sorted(HERE.glob("*.cells"))]
