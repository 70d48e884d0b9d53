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
