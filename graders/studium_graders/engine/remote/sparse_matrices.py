"""Sparse matrices and arrays of SciPy's on the wire: plain data, which may be changed in place."""

import importlib
import math
import re
from typing import Any

import numpy as np

from studium_graders.engine.remote.decode import READERS, Decoder, RefusedError
from studium_graders.engine.remote.encode import KINDS, Encoder
from studium_graders.engine.remote.tags import Tag
from studium_graders.engine.remote.wire import ProtocolError

_NAME = re.compile(r"(bsr|coo|csc|csr|dia|dok|lil)_(array|matrix)")
_LONGEST = 1 << 24  # rows and columns together: some formats have a number for each


def is_sparse(cls: type) -> bool:
    """Tell whether a class is one of SciPy's sparse ones."""
    known = _NAME.fullmatch(cls.__name__) and str(cls.__module__).startswith("scipy.sparse")
    return bool(known) and getattr(_scipy(), cls.__name__) is cls


def parts_of(value: Any) -> list[Any]:
    """Give shape, elements and the coordinates of these."""
    sparse = value.tocoo()
    return [list(sparse.shape), sparse.data, list(sparse.coords)]


def state(value: Any) -> list[Any]:
    """Give what a sparse matrix holds, to be compared later."""
    shape, data, coordinates = parts_of(value)
    return [str(shape), data.dtype.str, data.tobytes(), *[part.tobytes() for part in coordinates]]


def _write(encoder: Encoder, value: Any) -> Any:
    parts = parts_of(value)
    encoder.register(value)
    return [Tag.SPARSE_MATRIX, type(value).__name__, *[encoder.apart(part) for part in parts]]


def _read(decoder: Decoder, node: list[Any]) -> Any:
    put = decoder.place()
    with decoder.inside():
        shape, data, coordinates = [decoder.apart(part) for part in node[2:]]
    data = decoder.missing(data)
    value = _build(node[1], shape, data, coordinates)
    return put(value if math.prod(value.shape) else decoder.received(value))


def _build(name: Any, shape: Any, data: Any, coordinates: Any) -> Any:
    """Build a sparse matrix through SciPy's constructors, which check the coordinates."""
    if type(name) is not str or not _NAME.fullmatch(name) or type(shape) is not list or type(coordinates) is not list:
        raise ProtocolError("no sparse matrix")
    if not all(type(part) is np.ndarray and part.ndim == 1 for part in [data, *coordinates]) or data.dtype.hasobject:
        raise ProtocolError("a sparse matrix without elements")
    if not all(type(length) is int for length in shape):
        raise ProtocolError("a sparse matrix without a shape")
    if sum(shape) > _LONGEST:
        raise RefusedError(f"a sparse matrix of more than {_LONGEST} rows and columns")
    kind = getattr(_scipy(), name)
    made = (_scipy().coo_array if name.endswith("array") else _scipy().coo_matrix)((data, coordinates), shape=shape)
    return made if type(made) is kind else kind(made)


def _scipy() -> Any:
    return importlib.import_module("scipy.sparse")


KINDS.append((lambda _, cls: is_sparse(cls), _write))
READERS[Tag.SPARSE_MATRIX] = _read
