"""The corpora: hostile submissions by class of attack, honest ones, and the courses that they answer. All of it data.

A case is a TOML file: ``tries`` says in words what it does, ``answers`` hold the source of each answer, ``first`` and
``last`` are extra cells, ``files``, ``links``, ``pipes`` and ``sparse`` (sizes in bytes) lie beside the notebook, and
``mutate`` is Python that changes the notebook ``nb`` (``raw`` are other bytes for the file, None for no file).
``marks`` are what each test must get, by a pattern of its grade id; else honest cases earn full marks, hostile ones 0
but for the exercises that they ``solve``. What hostile ones earn beyond that is earned in tests whose author has been
told that they let vacuous answers pass, or which are labelled as unverified; else ``known`` says why.
"""

import tomllib
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path

import msgspec

HERE = Path(__file__).parent
HONEST, VACUOUS = "honest", "vacuous"


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One submission, and what must come of it.

    ``forbidden`` texts must not be in what students are shown, ``told`` texts must be in their pages, ``leaves`` are
    paths that must not be there afterwards.
    ``stock`` says why stock nbgrader must not run it, ``known`` why it does not get its marks yet.
    """

    id: str
    kind: str  # "honest", or the class of attack
    tries: str
    course: str
    student: str = ""
    solves: list[str] | None = None
    answers: dict[str, str] = {}
    first: str = ""
    last: str = ""
    mutate: str = ""
    files: dict[str, str] = {}
    links: dict[str, str] = {}
    pipes: list[str] = []
    sparse: dict[str, int] = {}
    many: int = 0
    marks: dict[str, float] = {}
    forbidden: list[str] = []
    told: list[str] = []
    leaves: list[str] = []
    stock: str = ""
    known: str = ""

    @property
    def name(self) -> str:
        """The name of the student who hands it in."""
        return self.student or self.id

    @property
    def honest(self) -> bool:
        """Whether it must earn what it deserves, rather than nothing."""
        return self.kind == HONEST

    def solved(self, exercises: Mapping[str, str]) -> list[str]:
        """Name the exercises that get the reference solution."""
        chosen = list(exercises) if self.solves is None and self.honest else self.solves or []
        assert set(chosen) <= set(exercises), f"{self.id} solves unknown exercises"
        return chosen

    def deserves(self, tests: Mapping[str, tuple[str, float]], exercises: Mapping[str, str]) -> dict[str, float]:
        """Give the points of each test by grade id; ``tests`` are (exercise, points)."""
        earning = set(self.solved(exercises)) | (set(self.answers) if self.honest else set())
        found = {grade_id: points if exercise in earning else 0.0 for grade_id, (exercise, points) in tests.items()}
        for pattern, points in self.marks.items():
            matching = [grade_id for grade_id in tests if fnmatchcase(grade_id, pattern)]
            assert matching, f"{self.id} has marks for {pattern}, which is no test of {self.course}"
            found |= dict.fromkeys(matching, points)
        return found


def cases() -> list[Case]:
    """Read all cases, the honest ones first."""
    folders = [HERE / HONEST, HERE / VACUOUS, *sorted((HERE / "attacks").iterdir())]
    return [_case(path, folder.name) for folder in folders for path in sorted(folder.glob("*.toml"))]


def _case(path: Path, kind: str) -> Case:
    data = tomllib.loads(path.read_text("utf-8"))
    return msgspec.convert({"id": path.stem, "kind": kind} | data, Case)
