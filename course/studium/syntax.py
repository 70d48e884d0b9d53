"""Python's syntax trees, for any thread."""

import ast
import threading

_one_at_a_time = threading.RLock()


def parse(source: str) -> ast.Module:
    """Do what ``ast.parse`` does.

    Python 3.11.7 counts how deep a tree is for all threads together: two that parse at once, with a switch while
    garbage is collected, can end in a SystemError.
    """
    with _one_at_a_time:
        return ast.parse(source)


def fault(source: str) -> str:
    """Return what keeps a text from being Python, with its line, or "" where nothing does."""
    try:
        parse(source)
    except SyntaxError as error:
        return f"line {error.lineno}: {error.msg}"
    except (ValueError, RecursionError, MemoryError):
        return "it has a null byte, or too many brackets"
    return ""
