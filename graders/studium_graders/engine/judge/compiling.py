"""Test code, compiled so that the student's names and the two sides of an assertion can be reached."""

import ast
import copy
import linecache
import secrets
import zlib
from dataclasses import dataclass
from types import CodeType

from studium_graders.engine.judge.filling_in import FILL_IN
from studium_graders.engine.judge.python_text import is_silenced

LEFT, RIGHT = "__studium_left__", "__studium_right__"
# How compiled tests get at their namespace: by names that nobody can guess who is given a test's globals.
NAMESPACE, METHOD = (f"__studium_{secrets.token_hex(16)}__" for _ in range(2))


@dataclass(frozen=True)
class CompiledTest:
    """A test as code: what is run first, then the expression whose value is the partial credit, if there is one."""

    body: CodeType
    value: CodeType | None
    tree: ast.Module
    filename: str


def compile_test(tree: ast.Module, source: str, name: str, owned: frozenset[str], *, show: bool) -> CompiledTest:
    """Compile a test cell. With ``show`` the sides of ``assert a == b`` are kept for the message."""
    tree = copy.deepcopy(tree)
    filename = f"<test {name} {zlib.crc32(source.encode()):08x}>"  # notebooks may have cells of the same name
    lines = source.splitlines(keepends=True)
    linecache.cache[filename] = (len(source), None, lines, filename)
    tree = ast.fix_missing_locations(_Rewriter(owned, show).visit(tree))
    last = tree.body[-1] if tree.body else None
    value = None
    if isinstance(last, ast.Expr) and not is_silenced(source):
        value = _compile(ast.Expression(last.value), filename, "eval")
        tree = ast.Module(tree.body[:-1], [])
    return CompiledTest(_compile(tree, filename, "exec"), value, tree, filename)


def compile_statement(node: ast.stmt, name: str) -> CodeType:
    """Compile one statement of a given cell."""
    return _compile(_careful(ast.Module([copy.deepcopy(node)], [])), f"<{name}>", "exec")


def compile_module(source: str | bytes, filename: str) -> CodeType:
    """Compile a module that is handed out; its globals need ``METHOD``."""
    code: CodeType = compile(_careful(ast.parse(source, filename)), filename, "exec", dont_inherit=True)
    return code


def _careful(tree: ast.Module) -> ast.Module:
    found: ast.Module = ast.fix_missing_locations(_Careful().visit(tree))
    return found


def _compile(tree: ast.Module | ast.Expression, filename: str, mode: str) -> CodeType:
    code: CodeType = compile(tree, filename, mode, ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    return code


class _Careful(ast.NodeTransformer):
    """Has a text that may be an answer's looked at before it is filled in."""

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        self.generic_visit(node)
        if node.attr not in FILL_IN or not isinstance(node.ctx, ast.Load) or isinstance(node.value, ast.Constant):
            return node
        return ast.Call(ast.Name(METHOD, ast.Load()), [node.value, ast.Constant(node.attr)], [])


class _Rewriter(_Careful):
    """Makes ``global f; f = …`` reach the student, and keeps what the sides of an assertion were.

    The interpreter stores globals of a function past ``__setitem__``, so such a store is written as a subscript.
    """

    def __init__(self, owned: frozenset[str], show: bool) -> None:
        self.owned = owned
        self.show = show
        self.shared: frozenset[str] = frozenset()

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return self._function(node)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.AST:
        outer = self.shared
        named = {name for inner in ast.walk(node) if isinstance(inner, ast.Global) for name in inner.names}
        self.shared = frozenset(named & self.owned)
        self.generic_visit(node)
        self.shared = outer
        return node

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if node.id not in self.shared or isinstance(node.ctx, ast.Load):
            return node
        return ast.Subscript(ast.Name(NAMESPACE, ast.Load()), ast.Constant(node.id), node.ctx)

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        self.generic_visit(node)
        match node.test:
            case ast.Compare(left, [_], [right]) if self.show and node.msg is None:
                node.test.left = ast.NamedExpr(ast.Name(LEFT, ast.Store()), left)
                node.test.comparators = [ast.NamedExpr(ast.Name(RIGHT, ast.Store()), right)]
        return node
