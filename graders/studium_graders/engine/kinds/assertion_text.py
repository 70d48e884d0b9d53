"""What a failing assertion asks for, in the words of its own text."""

import ast

HOLDS_NOT = "this should hold and does not"
_REACHED = "the test came to its line `{}`, where it does not come with a right answer: is an exception missing?"


def unmet(statement: ast.Assert, said: str) -> str:
    """Say what an assertion that fails with ``said`` asks for, unless that are words of its author's."""
    never = isinstance(statement.test, ast.Constant)  # as after a line that should have raised
    sentence = _REACHED.format(ast.unparse(statement)) if never else f"{HOLDS_NOT}: {ast.unparse(statement.test)}"
    if not said:
        return sentence
    words = [node for node in ast.walk(statement.msg or ast.Constant("")) if _is_text(node)]
    return said if words else f"{sentence} ({said})"


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))
