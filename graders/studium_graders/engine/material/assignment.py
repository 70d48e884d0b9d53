"""What is graded against: the assignment's canonical cells, secrets included. The student's process never sees it."""

import hashlib
from functools import cached_property
from typing import Literal

import msgspec

from studium_graders.course.limits import Limits

Kind = Literal[
    "text",  # markdown and raw
    "given",  # the instructor's code: runs in both processes
    "answer",  # the student's code; also graded by hand where points > 0
    "test",  # graded by running it; its source is secret where hidden
]


class Cell(msgspec.Struct, frozen=True):
    """One cell of the template. ``source`` is what students got, but tests have their hidden parts.

    ``reference`` is the instructor's solution of an answer ("" where there is none). ``exercise`` and ``test`` name a
    Studium test (from the cell's ``studium`` metadata) and are "" in other courses. ``locked`` cells are replaced by
    the template's, others may have been changed by the student. ``released`` is what students got of a test that is
    ``hidden`` in part.
    """

    id: str  # unique in the notebook: grade_id where there is one, else derived from the position
    kind: Kind
    source: str
    grade_id: str = ""
    points: float = 0.0
    locked: bool = False
    graded: bool = False  # nbgrader's ``grade`` flag (a text or answer cell with it is graded by hand)
    hidden: bool = False
    released: str = ""
    reference: str = ""
    topic: str = ""
    exercise: str = ""
    test: str = ""


class NotebookMaterial(msgspec.Struct, frozen=True):
    """One notebook of an assignment. ``template`` is its JSON, cells in the order of ``cells``."""

    name: str
    cells: tuple[Cell, ...]
    template: bytes

    def as_released(self) -> "NotebookMaterial":
        """Return the notebook without hidden tests."""
        cells = (msgspec.structs.replace(c, source=c.released, hidden=False) if c.hidden else c for c in self.cells)
        return msgspec.structs.replace(self, cells=tuple(cells))

    def judged(self) -> "NotebookMaterial":
        """Return what decides about marks: all cells but texts that nobody marks, without the layout."""
        cells = tuple(cell for cell in self.cells if cell.kind != "text" or cell.graded)
        return msgspec.structs.replace(self, cells=cells, template=b"")


class Calibration(msgspec.Struct, frozen=True):
    """What the reference solution needed when it was graded: the student may have the same and no more.

    By grade id, ``words`` has what tests of topics may receive. ``scored`` are tests that run whole and end with a
    number. ``problems`` are sentences for the instructor.
    """

    scored: frozenset[str] = frozenset()
    words: dict[str, frozenset[str]] = {}
    problems: tuple[str, ...] = ()


class Material(msgspec.Struct, frozen=True, dict=True):
    """An assignment. ``files`` are what students got beside the notebooks: relative path to bytes.

    They lie over what the student handed in, but for ``own_files``, which the student may have changed.
    """

    assignment: str
    notebooks: tuple[NotebookMaterial, ...]
    files: dict[str, bytes] = {}
    limits: Limits = Limits()
    secret: bytes = b""  # seeds the random test data
    calibration: dict[str, Calibration] = {}  # by notebook
    own_files: frozenset[str] = frozenset()
    changed: tuple[str, ...] = ()  # cells of source/ that are not as they were released

    @cached_property
    def digest(self) -> str:
        """Names what decides about marks here: a result is valid for the digest it was made with."""
        notebooks = tuple(book.judged() for book in self.notebooks)
        graded = msgspec.structs.replace(self, notebooks=notebooks, changed=())
        return hashlib.sha256(msgspec.msgpack.encode(graded, order="deterministic")).hexdigest()


class Step(msgspec.Struct, frozen=True):
    """One thing to do in a notebook, in order: run the student's source, or judge a cell of the material."""

    cell: str  # id of the canonical cell
    kind: Literal["student", "given", "test"]
    source: str  # what the student's process runs ("" for a test)


class CanonicalNotebook(msgspec.Struct, frozen=True):
    """A submitted notebook after intake: the template's cells with the student's answers and extra cells in place.

    ``document`` is nbformat JSON without outputs, each cell with its canonical id; ``notes`` tell what was put right.
    ``untouched`` are ids of answer cells that are still the stub.
    """

    name: str
    steps: tuple[Step, ...]
    document: bytes
    untouched: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()
    problem: str = ""  # one sentence where the file cannot be graded
    missing: bool = False


class CanonicalSubmission(msgspec.Struct, frozen=True, dict=True):
    """A submission after intake. ``files`` are the student's own regular files beside the notebooks, capped.

    Write the material's files first and these over them: intake left out what the student may not replace.
    """

    student: str
    notebooks: tuple[CanonicalNotebook, ...]
    files: dict[str, bytes] = {}
    timestamp: str = ""
    notes: tuple[str, ...] = ()

    @cached_property
    def digest(self) -> str:
        """Names what is run and judged; equal for equal code and files, whoever handed them in and when."""
        books = tuple(msgspec.structs.replace(book, document=b"") for book in self.notebooks)
        content = CanonicalSubmission("", books, self.files)
        return hashlib.sha256(msgspec.msgpack.encode(content, order="deterministic")).hexdigest()
