"""Reading the cells of a notebook file that anybody may have written: bounded in time and memory, whatever is in it.

Only what grading needs is decoded. Outputs and other metadata are skipped as text, so that their size costs nothing.
"""

import re
from contextlib import suppress
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType
from studium.errors import continued

MOST_BYTES = 128 * 2**20
MOST_CELLS = 2000
MOST_SOURCE = 4 * 2**20
_MOST_METADATA = 2**16
_MOST_ATTACHMENTS = 16 * 2**20
_KINDS = {"code": "code", "markdown": "markdown", "raw": "raw", "heading": "markdown", "html": "markdown"}
_IMAGES = ("image/png", "image/jpeg", "image/gif", "image/webp", "image/svg+xml")
_MOST_MENDED = 32 * 2**20
_NUMBERS = re.compile(rb'"(?:[^"\\]++|\\.)*+"|NaN|-?Infinity', re.DOTALL)  # what Python writes and JSON has not
_BAD = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_ZERO = {3: b"0.0", 8: b"0.000000", 9: b"-0.000000"}
_SURROGATES = re.compile(rb"(\\u[dD][89abAB]..\\u[dD][c-fC-F]..)|\\u[dD][89a-fA-F]..")


class UnreadableError(Exception):
    """One sentence that says why a file cannot be graded, for the student and the instructor."""


class SubmittedCell(msgspec.Struct):
    """A cell as it was handed in. ``grade_id`` and ``id`` are claims; "" where there is none."""

    kind: str  # code, markdown or raw
    source: str
    grade_id: str = ""
    id: str = ""
    attachments: dict[str, dict[str, str]] = {}


class _Cell(msgspec.Struct):
    cell_type: Annotated[str, Meta(max_length=20)]
    source: Raw | UnsetType = UNSET
    input: Raw | UnsetType = UNSET  # of nbformat 3
    metadata: Raw | UnsetType = UNSET
    id: Raw | UnsetType = UNSET
    level: Raw | UnsetType = UNSET
    attachments: Raw | UnsetType = UNSET


class _Worksheet(msgspec.Struct):
    cells: list[_Cell] = []


class _Notebook(msgspec.Struct):
    cells: list[_Cell] | None = None
    worksheets: list[_Worksheet] | None = None
    nbformat: Raw | UnsetType = UNSET


class _Marks(msgspec.Struct):
    grade_id: Raw | UnsetType = UNSET


class _Metadata(msgspec.Struct):
    nbgrader: Raw | UnsetType = UNSET


def read_cells(data: bytes) -> list[SubmittedCell]:
    """Return the cells of a notebook of nbformat 2 to 4. Raise UnreadableError with one sentence."""
    if len(data) > MOST_BYTES:
        raise UnreadableError(
            f"the notebook has {len(data) >> 20} MB and at most {MOST_BYTES >> 20} are read; clear its outputs"
        )
    notebook = _decoded(_as_utf8(data))
    cells = notebook.cells
    if cells is None and notebook.worksheets is not None:
        cells = [cell for sheet in notebook.worksheets for cell in sheet.cells]
    if cells is None:
        raise UnreadableError("the file is no notebook: it has no list of cells, as an .ipynb file must have")
    if len(cells) > MOST_CELLS:
        raise UnreadableError(f"the notebook has {len(cells)} cells and at most {MOST_CELLS} are read; remove some")
    read = [_cell(cell) for cell in cells]
    if (size := sum(len(cell.source) for cell in read)) > MOST_SOURCE:
        raise UnreadableError(
            f"the cells have {size >> 20} MB of text and at most {MOST_SOURCE >> 20} are read; put data in a file"
        )
    return read


def _as_utf8(data: bytes) -> bytes:
    """Return the text without byte order mark, whatever editor saved it."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace").encode()
    return data.removeprefix(b"\xef\xbb\xbf").rstrip(b"\0")


def _decoded(data: bytes) -> _Notebook:
    if not data.strip():
        raise UnreadableError("the notebook file is empty")
    try:
        return _decode(data)
    except _BAD as error:
        first = error
    if len(data) <= _MOST_MENDED and any(mark in data for mark in (b"NaN", b"Infinity", b"\\ud", b"\\uD")):
        with suppress(*_BAD):
            return _decode(_with_json_numbers(_with_whole_letters(data)))
    raise UnreadableError(_reason(data, first))


def _decode(data: bytes | bytearray) -> _Notebook:
    return msgspec.json.decode(data, type=_Notebook)


def _with_whole_letters(data: bytes) -> bytes:
    """Put U+FFFD for half an emoji, as programs leave it that cut text by its length."""
    return _SURROGATES.sub(lambda found: found[1] or b"\\ufffd", data)


def _with_json_numbers(data: bytes) -> bytearray:
    """Put a zero of the same length for each NaN and Infinity: they stand in outputs, which are not used."""
    mended = bytearray(data)
    for match in _NUMBERS.finditer(data):
        if data[match.start()] != ord('"'):
            mended[match.start() : match.end()] = _ZERO[match.end() - match.start()]
    return mended


def _reason(data: bytes, error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "the notebook is nested too deeply to be read; restore it from a copy"
    if b"<<<<<<<" in data and b">>>>>>>" in data:
        return "the notebook holds the marks of a merge conflict; resolve it in your copy"
    if "truncated" in str(error):
        return "the notebook file ends in the middle: it was not saved or uploaded whole"
    if not data.lstrip().startswith(b"{"):
        return "the file is no notebook: it is not JSON, as an .ipynb file must be"
    why = str(error).splitlines()[0][:100]
    return f"the file is no notebook that can be read ({continued(why)}); restore it from a copy"


def _cell(cell: _Cell) -> SubmittedCell:
    kind = _KINDS.get(cell.cell_type, "raw")
    source = _source(cell.source if cell.source is not UNSET else cell.input)
    if cell.cell_type == "heading":
        level = _value(cell.level, int, 1)
        source = f"{'#' * min(max(level, 1), 6)} {source}"
    return SubmittedCell(kind, source, _grade_id(cell.metadata), _value(cell.id, str, "")[:64], _attachments(cell))


def _source(raw: Raw | UnsetType) -> str:
    """Return the text of a cell with line feeds alone between its lines and no null characters."""
    if raw is not UNSET and len(memoryview(raw)) > 6 * MOST_SOURCE:  # an escaped character is 6 bytes
        raise UnreadableError(f"a cell has more than {MOST_SOURCE >> 20} MB of text; put data in a file")
    text = _value(raw, str | list[str], "", 6 * MOST_SOURCE)
    joined = text if isinstance(text, str) else "".join(text)
    return joined.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")


def _grade_id(raw: Raw | UnsetType) -> str:
    metadata: _Metadata = _value(raw, _Metadata, _Metadata(), _MOST_METADATA)
    marks: _Marks = _value(metadata.nbgrader, _Marks, _Marks(), _MOST_METADATA)
    return str(_value(marks.grade_id, str, ""))[:256]


def _attachments(cell: _Cell) -> dict[str, dict[str, str]]:
    """Return the pictures that were pasted into a text cell."""
    found = _value(cell.attachments, dict[str, dict[str, str]], {}, _MOST_ATTACHMENTS)
    pictures = {name: {kind: data for kind, data in item.items() if kind in _IMAGES} for name, item in found.items()}
    return {name: item for name, item in pictures.items() if item}


def _value(raw: Any, kind: Any, default: Any, most: int = 4096) -> Any:
    """Decode a part, or give ``default`` where it is absent, longer than ``most`` bytes or of another type."""
    if raw is UNSET or len(memoryview(raw)) > most:
        return default
    try:
        return msgspec.json.decode(raw, type=kind)
    except _BAD:
        pass
    try:
        return msgspec.json.decode(bytes(raw).decode("utf-8", "replace").encode(), type=kind)
    except _BAD:
        return default
