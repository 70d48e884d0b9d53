"""A student's wrong answer as the code that registers it as a misconception, for the topic's author to name."""

import ast
from contextlib import suppress

from studium.exercises.syntax import parse

from studium_graders.grading.answers.fingerprints import parsed

_HEAD = '@{name}.misconception("TODO: explain in one sentence what is wrong, and why.", name="todo-name-it")\n'


def misconception_code(name: str, source: str) -> str:
    """Return the code for the answer cell ``source`` to the exercise ``name``, "" if the cell lacks the function.

    Comments and docstrings, in which students write their names, are left out. If the cell has more than the function,
    or the function calls itself, everything goes into one function.
    """
    with suppress(ValueError):  # an f-string that Python cannot write
        return _misconception_code(name, source)
    return ""


def _misconception_code(name: str, source: str) -> str:
    tree = parsed(source)
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name] if tree else []
    if tree is None or not functions:
        return ""
    tree = _Bare().visit(tree)
    function = functions[-1]
    alone = [node for node in tree.body if not isinstance(node, ast.Import | ast.ImportFrom)] == [function]
    imports = [ast.unparse(node) for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    if alone and not any(isinstance(node, ast.Name) and node.id == name for node in ast.walk(function)):
        function.name = "_"
        return _HEAD.format(name=name) + _with_imports(function, imports)
    inner = [node for node in tree.body if not isinstance(node, ast.Expr)]
    call = parse(f"return {name}(*args, **kwargs)").body
    outer = parse("def _(*args, **kwargs):\n    pass").body[0]
    assert isinstance(outer, ast.FunctionDef)
    outer.body = [*inner, *call]
    return _HEAD.format(name=name) + ast.unparse(outer) + "\n"


def without_remarks(source: str) -> str:
    """Return the code without comments and docstrings; text that is not Python is dropped completely."""
    with suppress(ValueError):  # an f-string that Python cannot write
        if tree := parsed(source):
            return f"{ast.unparse(_Bare().visit(tree))}\n"
    return "# Python cannot read this answer\n"


def without_bare_constants(tree: ast.Module) -> ast.Module:
    """Remove docstrings and other stand-alone constants from code."""
    bare: ast.Module = _Bare().visit(tree)
    return bare


def _with_imports(function: ast.FunctionDef, imports: list[str]) -> str:
    """Put imports of the cell into the function, since the topic's module may lack them."""
    function.body = [*(parse(line).body[0] for line in imports), *function.body]
    return ast.unparse(function) + "\n"


class _Bare(ast.NodeTransformer):
    """Removes docstrings and other bare constants from bodies."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        return None if isinstance(node.value, ast.Constant) else node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        self.generic_visit(node)
        node.body = node.body or [ast.Pass()]
        return node
