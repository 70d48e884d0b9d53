"""Results on disk, one file per student, with a key for what they are results of, so nothing graded is lost."""

import glob
import hashlib
import os
import platform
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec
import studium

from studium_graders.course.private_files import FILE
from studium_graders.course.sharing import ALONE, Sharing
from studium_graders.engine.material.assignment import CanonicalSubmission, Material
from studium_graders.engine.material.results import SubmissionResult
from studium_graders.results.exercise_files import exercise_files

_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
_ENGINE, _HOST = Path(__file__).parents[1] / "engine", Path(studium.__file__).parent
_LIMITS = Path(__file__).parents[1] / "course" / "limits.py"
_OF_HOST = ("exercises", "topics", "notebooks", "catalogue")  # its folders that determine marks
_DECIDES = ("studium", "torch", "numpy", "pandas", "scipy", "scikit-learn", "matplotlib", "ipython", "nbgrader")


class StoredResult(msgspec.Struct, frozen=True):
    """A result with the key that identifies what it is a result of."""

    key: str
    result: SubmissionResult


class ResultsStore:
    """The results of one assignment, in a folder of the course. Each file is written completely or not at all."""

    def __init__(self, folder: Path, sharing: Sharing = ALONE) -> None:
        self._folder, self._sharing = folder, sharing

    def load(self, student: str, key: str) -> SubmissionResult | None:
        """Return a student's result with this key; None if there is none, or only an older one."""
        try:
            stored = msgspec.msgpack.decode(self._path(student).read_bytes(), type=StoredResult)
        except (FileNotFoundError, msgspec.MsgspecError):
            return None
        return stored.result if stored.key == key and stored.result.student == student else None

    def all(self) -> Iterator[tuple[SubmissionResult, float]]:
        """Return each student's latest result, and when it was written (seconds since 1970)."""
        for path in sorted(self._folder.glob("*.msgpack")):
            with suppress(OSError, msgspec.MsgspecError):
                yield msgspec.msgpack.decode(path.read_bytes(), type=StoredResult).result, path.stat().st_mtime

    def save(self, key: str, result: SubmissionResult) -> None:
        """Store a result, replacing the student's earlier one. Raise OSError with the earlier one kept."""
        path = self._path(result.student)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, msgspec.msgpack.encode(StoredResult(key, result)))
        self._sharing.share(path)

    def _path(self, student: str) -> Path:
        return self._folder / f"{file_name(student)}.msgpack"


def file_name(student: str) -> str:
    """Return a file name for a student that every file system accepts, readable if the student's own name is plain."""
    if _PLAIN.fullmatch(student):
        return student
    return f"{re.sub(r'[^A-Za-z0-9]+', '-', student)[:40]}~{hashlib.sha256(student.encode()).hexdigest()[:16]}"


def looks_graded(root: Path, assignment: str) -> bool:
    """Return, judging by times only, whether everything handed in has a newer result, for nbgrader's usual folders.

    This is a guess made before nbgrader is imported: whether the engine is unlikely to be needed.
    """
    if Path(assignment).name != assignment:  # assignments do not have such names, and the path may lead anywhere
        return True
    folders = [folder for folder in (root / "submitted").glob(f"*/{glob.escape(assignment)}") if folder.is_dir()]
    settings = [root / name for name in ("course.toml", "nbgrader_config.py")]
    changed = max(map(newest, [root / "source" / assignment, root / "release" / assignment, *settings]))
    kept = root / ".studium" / "results" / assignment
    return bool(folders) and all(
        max(changed, newest(folder)) < newest(kept / f"{file_name(folder.parent.name)}.msgpack") for folder in folders
    )


def newest(path: Path) -> float:
    """Return the time of the last change at or below a path, 0 if it does not exist."""
    below = (Path(where, name) for where, folders, names in os.walk(path) for name in (*folders, *names))
    return max((item.lstat().st_mtime for item in (path, *below) if os.path.lexists(item)), default=0.0)


def write_whole(path: Path, content: bytes, mode: int = FILE) -> None:
    """Write a file so that either the old or the new content is there at any moment. Raise OSError and clean up."""
    staged = path.with_name(f".{os.getpid()}-{hashlib.sha256(path.name.encode()).hexdigest()[:16]}.part")
    try:
        descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        staged.replace(path)
    except BaseException:
        staged.unlink(missing_ok=True)
        raise


def result_key(submission: CanonicalSubmission, material: Material, environment: str, level: str) -> str:
    """Return a key for what a result is a result of, whoever handed it in."""
    parts = (submission.digest, material.digest, environment, level)
    return hashlib.sha256(msgspec.msgpack.encode(parts)).hexdigest()


def environment_hash(packages: Iterable[str] = ()) -> str:
    """Return a hash of the software that determines marks: Python, libraries, our code, and topics' exercises."""
    parts = [platform.python_version(), platform.machine(), *(f"{name} {_version(name)}" for name in _DECIDES)]
    parts += (own_code_hash(), *exercise_hashes(packages).values())
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def own_code_hash() -> str:
    """Return a hash of our own code that determines marks."""
    host = (path for folder in _OF_HOST for path in (_HOST / folder).rglob("*.py"))
    return _hash_of_files([*_ENGINE.rglob("*.py"), _LIMITS, *_HOST.glob("*.py"), *host])


def exercise_hashes(packages: Iterable[str]) -> dict[str, str]:
    """Return hashes of topics' exercises, by package, as they are on this machine now."""
    return {package: _hash_of_files(exercise_files(package)) for package in sorted(packages)}


def _hash_of_files(paths: Iterable[Path]) -> str:
    """Hash files, because a checkout keeps its version when its code changes."""
    found = hashlib.sha256()
    for path in sorted(paths):
        found.update(path.read_bytes())
    return found.hexdigest()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
