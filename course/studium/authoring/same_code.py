"""Whether two functions are the same code apart from the names of their arguments and variables."""

import ast
import symtable
from typing import Any

from studium.exercises.definitions import definition
from studium.exercises.model import AnyFunction
from studium.exercises.syntax import parse


def form(function: AnyFunction) -> str:
    """Return a function's syntax tree as text, without its name, docstring, annotations, comments and decorators.

    Arguments and local variables are numbered in order of appearance; the module's names stay.
    """
    return _form(function, own_arguments=True)


def body(function: AnyFunction) -> str:
    """Return the same, whatever arguments the function takes: a test need not use the random data that it gets."""
    return _form(function, own_arguments=False)


def _form(function: AnyFunction, *, own_arguments: bool) -> str:
    text = definition(function)
    tree = parse(text).body[0]
    assert isinstance(tree, ast.FunctionDef)
    if not own_arguments:
        tree.args.args.clear()
    return ast.dump(_Numbered(_own_names(text)).visit(_bare(tree)))


def size(function: AnyFunction) -> int:
    """Count the nodes in the statements of a function, without its docstring."""
    tree = parse(definition(function)).body[0]
    assert isinstance(tree, ast.FunctionDef)
    return sum(1 for statement in _bare(tree).body for _ in ast.walk(statement))


def _own_names(text: str) -> set[str]:
    scopes, names = symtable.symtable(text, "<function>", "exec").get_children(), set[str]()
    while scopes:
        scope = scopes.pop()
        names |= {symbol.get_name() for symbol in scope.get_symbols() if symbol.is_local()}
        scopes += scope.get_children()
    return names


def _bare(tree: ast.FunctionDef) -> ast.FunctionDef:
    tree.name, tree.decorator_list, tree.returns = "_", [], None
    first = tree.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and len(tree.body) > 1:
        del tree.body[0]
    return tree


class _Numbered(ast.NodeTransformer):
    """Replaces each of some names by its number in order of appearance."""

    def __init__(self, names: set[str]) -> None:
        self.names, self.numbers = names, dict[str, str]()

    def _number(self, name: str) -> str:
        return self.numbers.setdefault(name, f"name {len(self.numbers)}") if name in self.names else name

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.Name(self._number(node.id), node.ctx)

    def visit_arg(self, node: ast.arg) -> ast.arg:
        return ast.arg(self._number(node.arg))

    def visit_AnnAssign(self, node: ast.AnnAssign) -> Any:
        self.generic_visit(node)
        return ast.Assign([node.target], node.value) if node.value else None

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        name = self._number(node.name)
        node = _bare(node)
        self.generic_visit(node)
        node.name = name
        return node
