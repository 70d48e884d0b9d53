"""Python's syntax trees, for any thread."""

import ast
import threading

_one_at_a_time = threading.RLock()


def parse(source: str, filename: str = "<unknown>") -> ast.Module:
    """Do the same as ``ast.parse``.

    Python 3.11.7 keeps one count of a tree's depth for all threads: if two parse at once, and a garbage collection
    switches between them, the result can be a SystemError.
    """
    with _one_at_a_time:
        return ast.parse(source, filename)  # noqa: TID251  (here alone)


def fault(source: str) -> str:
    """Return why a text is not valid Python, with the line, or ""."""
    try:
        parse(source)
    except SyntaxError as error:
        return f"line {error.lineno}: {error.msg}"
    except (ValueError, RecursionError, MemoryError):
        return "it has a null byte, or too many brackets"
    return ""
