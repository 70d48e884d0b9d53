"""Which cell of a submission is which cell of the template, also where ids were lost, doubled or changed.

A grade id counts most, then the cell's own id, then equal text, then the names that an answer defines, then the place
between neighbours that are known. A cell of the student's that is none of the template's is extra.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from functools import partial

import msgspec
from rapidfuzz import fuzz

from studium_graders.engine.intake.submitted_notebook import SubmittedCell
from studium_graders.engine.material.assignment import Cell

_COMPARED = 1000  # characters of each text
_ALIKE = 60.0  # of 100: less is another text
_MOST_PAIRS = 10_000
_BINDING = re.compile(
    r"^(?:(?:async[ \t]++)?(?:def|class)[ \t]++(?P<name>\w++)"
    r"|(?P<names>\w++(?:[ \t]*+,[ \t]*+\w++)*+)[ \t]*+(?::[^=\n]*+)?=(?!=))",
    re.MULTILINE,
)


class TemplateCell(msgspec.Struct):
    """A cell to be found: the canonical cell, and its type, text and id as students got them."""

    cell: Cell
    cell_type: str
    released: str
    own_id: str
    names: frozenset[str] = frozenset()  # that an answer defines

    @property
    def is_answer(self) -> bool:
        """Whether the student writes here: what a test or a person marks."""
        return is_answer(self.cell)


def is_answer(cell: Cell) -> bool:
    """Return whether students write in a cell: code that tests judge, code or text that a person marks."""
    return cell.kind == "answer" or (cell.graded and not cell.locked)


def match_cells(template: Sequence[TemplateCell], submitted: Sequence[SubmittedCell]) -> dict[int, int]:
    """Return for each index of the template the index of the student's cell that is it; those not found are absent."""
    matching = _Matching(template, submitted)
    matching.by_grade_id()
    matching.by_own_id()
    matching.by_text(answers=False)
    matching.by_names()
    matching.by_text(answers=True)
    matching.by_place()
    return matching.found


def plain(text: str) -> str:
    """Return a text without blank lines and spaces at the ends of lines."""
    return "\n".join(line.rstrip() for line in text.strip().splitlines() if line.strip())


def bound_names(source: str) -> frozenset[str]:
    """Return the names that the unindented lines of a cell define or assign; it need not be Python that compiles."""
    found = (match["name"] or match["names"] for match in _BINDING.finditer(source))
    return frozenset(name.strip() for names in found for name in names.split(","))


class _Matching:
    def __init__(self, template: Sequence[TemplateCell], submitted: Sequence[SubmittedCell]) -> None:
        self.template, self.submitted = template, submitted
        self.found: dict[int, int] = {}
        self.used: set[int] = set()
        self.names = [bound_names(cell.source) for cell in submitted]

    def _take(self, wanted: int, given: int) -> None:
        self.found[wanted] = given
        self.used.add(given)

    def _free(self) -> list[int]:
        return [index for index in range(len(self.submitted)) if index not in self.used]

    def _open(self) -> list[int]:
        return [index for index in range(len(self.template)) if index not in self.found]

    def by_grade_id(self) -> None:
        """Match the last cell that claims an id, as nbgrader does; a stub gives way to an answer."""
        claims: dict[str, list[int]] = defaultdict(list)
        for index, cell in enumerate(self.submitted):
            if cell.grade_id:
                claims[cell.grade_id].append(index)
        answers = {item.cell.id: item.names for item in self.template if item.cell.kind == "answer" and item.names}
        for wanted, item in enumerate(self.template):
            indices = [
                index for index in claims.get(item.cell.grade_id, []) if not self._is_other(index, item, answers)
            ]
            if indices:
                self._take(wanted, self._best(item, indices))

    def _best(self, item: TemplateCell, indices: list[int]) -> int:
        return indices[0] if len(indices) == 1 else max(indices, key=partial(self._rank, item))

    def _rank(self, item: TemplateCell, index: int) -> tuple[bool, bool, bool, int]:
        """Order the cells that claim to be one: it defines what is asked for, is no stub, has the type, is the last."""
        cell = self.submitted[index]
        defines = bool(item.names) and item.names <= self.names[index]
        return defines, plain(cell.source) != plain(item.released), cell.kind == item.cell_type, index

    def _is_other(self, index: int, item: TemplateCell, answers: dict[str, frozenset[str]]) -> bool:
        """Return whether a cell that claims to be ``item`` defines what another answer defines, and not its own."""
        names = self.names[index]
        if item.cell.kind != "answer" or not item.names or names & item.names:
            return False
        return any(names & other for name, other in answers.items() if name != item.cell.id)

    def by_own_id(self) -> None:
        """Match cells by their ids of nbformat 4.5, where only one cell has it."""
        times = Counter(cell.id for cell in self.submitted)
        places = {self.submitted[index].id: index for index in self._free() if times[self.submitted[index].id] == 1}
        for wanted in self._open():
            if (given := places.get(self.template[wanted].own_id)) is not None:
                self._take(wanted, given)

    def by_text(self, *, answers: bool) -> None:
        """Match cells with the same text, in order: answers among stubs, or all the others."""
        places: dict[str, list[int]] = defaultdict(list)
        for index in reversed(self._free()):
            places[plain(self.submitted[index].source)].append(index)
        for wanted in self._open():
            item = self.template[wanted]
            if item.is_answer == answers and (text := plain(item.released)) and places.get(text):
                self._take(wanted, places[text].pop())

    def by_names(self) -> None:
        """Match the cell that defines what an answer defines: the last one that is no stub."""
        for wanted in self._open():
            item = self.template[wanted]
            fitting = [index for index in self._free() if item.names and item.names <= self.names[index]]
            if fitting:
                self._take(wanted, self._best(item, fitting))

    def by_place(self) -> None:
        """Match what lies between the same neighbours, the likest first."""
        for wanted, given in list(self._gaps()):
            pairs = sorted(self._pairs(wanted, given), key=lambda pair: (-pair[0], pair[1], pair[2]))
            for _, left, right in pairs:
                if left not in self.found and right not in self.used:
                    self._take(left, right)

    def _gaps(self) -> Iterator[tuple[list[int], list[int]]]:
        """Return runs of open cells of the template, with the free cells between the neighbours of each."""
        runs: list[list[int]] = []
        for index in self._open():
            if runs and runs[-1][-1] == index - 1:
                runs[-1].append(index)
            else:
                runs.append([index])
        for run in runs:
            before = self.found.get(run[0] - 1, -1)
            after = self.found.get(run[-1] + 1, len(self.submitted))
            low, high = (before, after) if before < after else (-1, len(self.submitted))
            yield run, [index for index in self._free() if low < index < high]

    def _pairs(self, wanted: list[int], given: list[int]) -> Iterator[tuple[float, int, int]]:
        alone = len(given) == 1
        for left in wanted if len(wanted) * len(given) <= _MOST_PAIRS else ():
            item = self.template[left]
            for right in given:
                cell = self.submitted[right]
                same_type = cell.kind == item.cell_type
                score = fuzz.ratio(item.released[:_COMPARED], cell.source[:_COMPARED])
                if score >= _ALIKE or (item.is_answer and same_type and (alone or not cell.grade_id)):
                    yield score + 10 * same_type, left, right
