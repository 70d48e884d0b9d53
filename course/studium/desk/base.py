"""The lesson as first written, carried in the notebook's metadata so updates can be merged."""

import base64
import hashlib
import zlib
from typing import Annotated

import msgspec
from nbformat import NotebookNode, from_dict

_LARGEST = 8 << 20  # bytes of text, as protection against decompression bombs


class BaseCell(msgspec.Struct, frozen=True, array_like=True):
    """A cell as it was written."""

    id: Annotated[str, msgspec.Meta(max_length=64)]
    kind: str
    source: str


# Created here and not in threads: if two threads build msgspec's decoder for a type at once, the process crashes.
_cells = msgspec.json.Decoder(list[BaseCell])


def with_base(notebook: NotebookNode) -> NotebookNode:
    """Return the notebook with its own cells as the base for later updates."""
    cells = cells_of(notebook)
    packed = base64.b85encode(zlib.compress(msgspec.json.encode(cells), 9)).decode()
    notebook.metadata["studium"]["base"] = from_dict({"digest": digest_of(cells), "cells": packed})
    return notebook


def base_of(notebook: NotebookNode) -> list[BaseCell] | None:
    """Return the cells as they were written; None if the notebook does not contain them."""
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
