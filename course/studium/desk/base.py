"""The lesson as it was when it was written, carried in the notebook's own metadata, so that an update can be merged."""

import base64
import hashlib
import zlib
from typing import Annotated

import msgspec
from nbformat import NotebookNode, from_dict

_LARGEST = 8 << 20  # bytes of text, against bombs


class BaseCell(msgspec.Struct, frozen=True, array_like=True):
    """A cell as it was written."""

    id: Annotated[str, msgspec.Meta(max_length=64)]
    kind: str
    source: str


# Made here and not in threads: where two make what decodes a type at the same time, msgspec ends the process.
_cells = msgspec.json.Decoder(list[BaseCell])


def with_base(notebook: NotebookNode) -> NotebookNode:
    """Return the notebook with its own cells as the base of later updates."""
    cells = cells_of(notebook)
    packed = base64.b85encode(zlib.compress(msgspec.json.encode(cells), 9)).decode()
    notebook.metadata["studium"]["base"] = from_dict({"digest": digest_of(cells), "cells": packed})
    return notebook


def base_of(notebook: NotebookNode) -> list[BaseCell] | None:
    """Return the cells as they were written; None where the notebook does not know them."""
    try:
        packed = base64.b85decode(notebook.metadata["studium"]["base"]["cells"])
        text = zlib.decompressobj().decompress(packed, _LARGEST)
        return _cells.decode(text)
    except (KeyError, TypeError, ValueError, AttributeError, zlib.error, msgspec.MsgspecError):
        return None


def base_digest(notebook: NotebookNode) -> str:
    """Return the digest of the lesson that a notebook was made from, or ""."""
    cells = base_of(notebook)
    return digest_of(cells) if cells else ""


def cells_of(notebook: NotebookNode) -> list[BaseCell]:
    """Return a notebook's cells, without outputs."""
    return [BaseCell(cell.id, cell.cell_type, cell.source) for cell in notebook.cells]


def digest_of(cells: list[BaseCell]) -> str:
    """Return a digest of cells."""
    return hashlib.sha256(msgspec.json.encode(cells)).hexdigest()[:32]
