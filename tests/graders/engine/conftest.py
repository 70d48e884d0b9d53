"""A little assignment made by hand, and an engine that grades it."""

from collections.abc import Callable, Iterator

import msgspec
import pytest
from studium_graders.course.limits import Limits
from studium_graders.engine.material.assignment import (
    CanonicalNotebook,
    CanonicalSubmission,
    Cell,
    Material,
    NotebookMaterial,
    Step,
)
from studium_graders.engine.material.results import SubmissionResult
from studium_graders.engine.processes.zygote import Zygote, common_ancestor
from studium_graders.engine.sandbox import probe
from studium_graders.engine.supervision.engine import Engine

SECRET = b"the-marker-that-only-the-engine-may-know"
GIVEN = "import torch"
SOLUTIONS = {
    "first": "def first(x):\n    return x + 1",
    "second": "def second(x):\n    return 2 * x",
    "third": "def third(x, w):\n    return x @ w",
    "fourth": "def fourth():\n    return 0",
}
TESTS = {
    "first": "assert first(1) == 2",
    "second": "assert second(4) == 8",
    "third": "x, w = torch.randn(3, 4), torch.randn(4, 5)\nassert torch.allclose(third(x, w), x @ w)",
    "fourth": "assert fourth() == 0",
}
LIMITS = Limits(
    call_seconds=6, submission_seconds=90, memory_mb=512, processes=32, disk_mb=16, output_kb=64, open_files=64
)


def hand_made(solutions: dict[str, str], tests: dict[str, str], **more: object) -> Material:
    """An assignment of one notebook: a given cell, then an answer and a test for each exercise, a point each."""
    cells = [Cell("given", "given", GIVEN)]
    for name, test in tests.items():
        stub = solutions[name].split("\n")[0] + "\n    raise NotImplementedError"
        cells.append(Cell(name, "answer", stub, name, reference=solutions[name]))
        cells.append(Cell(f"test-{name}", "test", test, f"test-{name}", 1.0, locked=True, graded=True))
    return Material("ps1", (NotebookMaterial("book", tuple(cells), b"{}"),), secret=SECRET, **more)


def handed_in(material: Material, student: str, answers: dict[str, str]) -> CanonicalSubmission:
    """A submission with these answers; where there is none, the stub."""
    books = []
    for book in material.notebooks:
        kinds = {"answer": "student", "given": "given", "test": "test"}
        steps = [
            Step(cell.id, kinds[cell.kind], "" if cell.kind == "test" else answers.get(cell.id, cell.source))
            for cell in book.cells
        ]
        books.append(CanonicalNotebook(book.name, tuple(steps), b"{}"))
    return CanonicalSubmission(student, tuple(books))


@pytest.fixture(scope="session")
def material() -> Material:
    return hand_made(SOLUTIONS, TESTS, limits=LIMITS)


@pytest.fixture(scope="session")
def ancestor() -> Iterator[Zygote]:
    """What the engines of these tests are forked from: torch is imported once."""
    with common_ancestor() as ancestor:
        yield ancestor


@pytest.fixture(scope="session")
def engine(material: Material, ancestor: Zygote) -> Iterator[Engine]:
    with Engine(material, probe().level, jobs=4, trust=True, ancestor=ancestor) as engine:
        yield engine


@pytest.fixture(scope="session")
def hand_in(material: Material) -> Callable[..., CanonicalSubmission]:
    """hand_in(second="def second(x): …") → a submission that is right but for that; ``files`` go with it."""

    def make(files: dict[str, bytes] | None = None, **answers: str) -> CanonicalSubmission:
        submission = handed_in(material, "alice", SOLUTIONS | answers)
        return msgspec.structs.replace(submission, files=files or {})

    return make


@pytest.fixture(scope="session")
def grade(engine: Engine, hand_in: Callable[..., CanonicalSubmission]) -> Callable[..., SubmissionResult]:
    """grade(second="def second(x): …") → the result of a submission that is right but for that."""
    return lambda **answers: engine.grade(hand_in(**answers))


@pytest.fixture(scope="session")
def make_material() -> Callable[..., Material]:
    """make_material(solutions, tests, …) → an assignment of one notebook."""
    return hand_made
