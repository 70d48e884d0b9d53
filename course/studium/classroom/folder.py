"""An assignment's folder on the student's machine: what was handed out, what is handed in, and the receipts."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from studium.classroom.archive import files_of, pack, unpack
from studium.classroom.client import Client
from studium.classroom.connections import connection_of
from studium.classroom.messages import CheckAnswer, CheckRequest, Receipt
from studium.errors import UsageError
from studium.notebooks.files import read_notebook

MARKER = ".studium-assignment.json"
RECEIPTS = ".studium-receipts"


class Marker(msgspec.Struct, frozen=True):
    """Which hand-out a folder came from; ``digest`` identifies its contents."""

    course: str
    assignment: str
    digest: str = ""


class Fetched(msgspec.Struct, frozen=True):
    """The files that were written, and the existing ones that were left alone."""

    folder: str
    written: list[str]
    kept: list[str]


def fetch(client: Client, course: str, assignment: str, folder: Path, digest: str = "") -> Fetched:
    """Write a hand-out into a folder. Existing files are kept, because they may contain answers."""
    files = unpack(client.handout(course, assignment))
    other = marker_of(folder) if (folder / MARKER).is_file() else None
    if other and (other.course, other.assignment) != (course, assignment):
        raise UsageError(f"{folder} holds {other.assignment} of {other.course}; fetch {assignment} into another folder")
    kept = [path for path in files if (folder / path).exists()]
    written = [path for path in files if path not in kept]
    folder.mkdir(parents=True, exist_ok=True)
    for path in written:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(files[path])
    (folder / MARKER).write_bytes(msgspec.json.encode(Marker(course, assignment, digest)))
    return Fetched(str(folder), written, kept)


def marker_of(folder: Path) -> Marker:
    """Return which hand-out a folder came from. Raise UsageError if it is not one."""
    try:
        return msgspec.json.decode((folder / MARKER).read_bytes(), type=Marker)
    except (OSError, msgspec.MsgspecError):
        raise UsageError(f"{folder} is not an assignment's folder; get one with: studium fetch NAME") from None


def folder_of(path: Path) -> Path:
    """Return the assignment's folder given the folder itself or a notebook in it."""
    if not path.exists():
        raise UsageError(f"the file {path} does not exist; check the name")
    return path if path.is_dir() else path.parent


def submit(folder: Path) -> Receipt:
    """Hand in a folder and keep the receipt in it. Raise StudiumError if it was not accepted."""
    marker = marker_of(folder)
    files = files_of(folder)
    with connection_of(marker.course).client() as client:
        return hand_in(client, marker.course, marker.assignment, folder, files)


def hand_in(client: Client, course: str, assignment: str, folder: Path, files: Mapping[str, bytes]) -> Receipt:
    """Hand in files from a folder and keep the receipt in it. Raise StudiumError if they were not accepted."""
    receipt = client.submit(course, assignment, pack(files))
    receipts = folder / RECEIPTS
    receipts.mkdir(exist_ok=True)
    text = msgspec.json.format(msgspec.json.encode(receipt), indent=2)
    (receipts / f"attempt-{receipt.attempt}.json").write_bytes(text)
    return receipt


def check(path: Path, exercise: str = "", document: str = "") -> CheckAnswer:
    """Have a notebook checked by the course server; ``document`` is its JSON if it has not been saved."""
    marker = marker_of(path.parent)
    if not document:
        read_notebook(path)  # reports what is wrong with a file that is not a notebook
        document = path.read_text("utf-8")
    with connection_of(marker.course).client() as client:
        return client.check(marker.course, marker.assignment, CheckRequest(path.stem, document, exercise))
