"""Exceptions by a fixed table: a class counts only where the judge's own says its module itself, and never SkipTest."""

import binascii
import builtins
import csv
import decimal
import json
import queue
import re
import statistics
import struct
import unittest
import zlib
from collections.abc import Iterable
from contextlib import suppress
from types import ModuleType
from typing import Any

import numpy as np
import torch

from studium_graders.engine.kinds.plain import PLAIN, text
from studium_graders.engine.wire.channel import ProtocolError
from studium_graders.engine.wire.codec import Decoder, Encoder, Kind

LONGEST = 2000  # characters of a message
LONGEST_LINE = 200
MOST_ARGUMENTS = 10
_LIBRARIES = (
    *(builtins, decimal, json, queue, statistics, binascii, csv, re, struct, zlib),
    *(np.exceptions, np.linalg, torch, torch.linalg),
)


_NEVER = (unittest.SkipTest, StopIteration, StopAsyncIteration)


class StudentError(Exception):
    """An exception of the student's own, or of a library that is not in the table."""

    student_line = ""


def table_of(modules: Iterable[ModuleType]) -> dict[tuple[str, str], type[Exception]]:
    """Return the exceptions of modules by the module and the name that they have themselves."""
    return table_of_classes(value for module in modules for value in vars(module).values())


def table_of_classes(values: Iterable[Any]) -> dict[tuple[str, str], type[Exception]]:
    """Return those values that are exceptions and may be raised in the judge, by the module that they say."""
    found = (cls for cls in values if isinstance(cls, type) and issubclass(cls, Exception))
    return {(cls.__module__, cls.__qualname__): cls for cls in found if not issubclass(cls, _NEVER)}


TABLE = table_of(_LIBRARIES)


def say(error: BaseException) -> str:
    """Return the text of an exception; "" where its class cannot give one."""
    try:
        return str(error)[:LONGEST].encode("utf-8", "replace").decode()
    except BaseException:
        return ""


def parts_of(encoder: Encoder, error: BaseException, known: Iterable[tuple[str, str]] = ()) -> list[Any]:
    """Return the module and name of the nearest class in the table, the exception's own name, arguments and text."""
    names = [(cls.__module__, cls.__qualname__) for cls in type(error).__mro__]
    module, name = next((pair for pair in names if pair in TABLE or pair in [*known]), ("builtins", "Exception"))
    args = error.args if type(error.args) is tuple else ()
    sent = [encoder.part(arg[:LONGEST] if type(arg) is str else arg) for arg in args if type(arg) in PLAIN]
    own = names[0][1].rpartition(".")[2][:100].encode("utf-8", "replace").decode()
    return [module, name, own, sent[:MOST_ARGUMENTS] if len(sent) == len(args) else [], say(error)]


def built(decoder: Decoder, parts: list[Any], given: dict[tuple[str, str], type[Exception]]) -> Exception:
    """Build an exception that handlers of its class in the table catch, and that says what the student's says."""
    module, name, own, nodes, said = parts
    base = (TABLE | given).get((text(module, LONGEST), text(name, LONGEST)), StudentError)
    said, own = text(said, LONGEST), text(own, LONGEST)
    if type(nodes) is not list or len(nodes) > MOST_ARGUMENTS:
        raise ProtocolError("an exception with too many arguments")
    args = [decoder.part(node) for node in nodes]
    if own == base.__name__ and base.__module__ == "builtins":
        with suppress(Exception):
            error = base(*args)
            if say(error) == said:
                return error
    return _saying(base, own, args, said)


def _saying(base: type[Exception], own: str, args: list[Any], said: str) -> Exception:
    """Make an exception of a class of its own that extends one of the table and does nothing."""
    bases = (base,) if issubclass(base, StudentError) else (StudentError, base)
    name = own if own.isidentifier() else "Error"
    cls = type(name, bases, {"__module__": "__main__", "__str__": lambda _: said, "__init__": lambda *_, **__: None})
    with suppress(Exception):
        made: Exception = cls.__new__(cls, *args)
        made.args = tuple(args)
        return made
    plain: Exception = type(name, (StudentError,), {"__module__": "__main__", "__str__": lambda _: said})(*args)
    return plain


def _read(decoder: Decoder, parts: list[Any]) -> Any:
    return built(decoder, parts, {})


KINDS = (
    Kind(
        "error",
        (),
        lambda encoder, value: parts_of(encoder, value),
        _read,
        applies=lambda cls, _: issubclass(cls, Exception),
    ),
)
