"""Which names a statement binds, reads and changes, as far as its text tells."""

import ast
import importlib
import symtable
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from studium.exercises import syntax
from studium.exercises.sources import global_names

from studium_graders.engine.judge.python_text import parse

# Functions that change their argument, where they stand as a statement of their own.
_CHANGERS = {"shuffle", "heapify", "heappush", "heappop", "insort", "setattr", "delattr", "fill_diagonal", "copyto"}
_FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


@dataclass(frozen=True)
class Statement:
    """One top-level statement: names it binds, reads while it runs, and reads when what it defines is called."""

    node: ast.stmt
    binds: frozenset[str]
    imports: frozenset[str]
    reads: frozenset[str]
    later: frozenset[str]


@lru_cache(1024)  # each question about a notebook asks for all its cells
def statements_in(source: str) -> list[Statement]:
    """Look at each top-level statement of a cell; one that is not Python has none."""
    tree = parse(source)
    return [] if tree is None else [_statement(node) for node in tree.body]


def names_bound(source: str) -> frozenset[str]:
    """Return what a cell binds, without what it imports."""
    return frozenset(name for item in statements_in(source) for name in item.binds)


def names_read(source: str) -> frozenset[str]:
    """Return what a cell reads, at once or when what it defines is called."""
    return frozenset(name for item in statements_in(source) for name in item.reads | item.later)


def names_made(source: str) -> frozenset[str]:
    """Return what a cell binds, imports or changes."""
    items = statements_in(source)
    return frozenset(name for item in items for name in item.binds | item.imports | changed_names(item.node))


def _statement(node: ast.stmt) -> Statement:
    every = _globals(node)
    reads = _globals(_shell(node)) if is_definition(node) else every
    imported = isinstance(node, ast.Import | ast.ImportFrom)
    bound = _bound(node) | (_starred(node) if isinstance(node, ast.ImportFrom) else frozenset())
    return Statement(node, frozenset() if imported else bound, bound if imported else frozenset(), reads, every - reads)


def is_definition(node: ast.stmt) -> bool:
    """Return whether a statement makes a function or a class."""
    assigned = isinstance(node, ast.Assign) and isinstance(node.value, ast.Lambda)
    return assigned or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)


def is_compound(node: ast.stmt) -> bool:
    """Return whether a statement has statements in it, of which one may bind what another reads."""
    return any(isinstance(child, ast.stmt | ast.match_case) for child in ast.iter_child_nodes(node))


def _shell(node: ast.stmt) -> ast.stmt:
    """Return a definition without the bodies of its functions: what is left runs at once."""
    copy = syntax.parse(ast.unparse(node)).body[0]
    for inner in ast.walk(copy):
        if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef):
            inner.body = [ast.Pass()]
        elif isinstance(inner, ast.Lambda):
            inner.body = ast.Constant(None)
    return ast.fix_missing_locations(copy)


def _globals(node: ast.stmt) -> frozenset[str]:
    return frozenset(global_names(ast.unparse(node)) | deleted_names(node))


def deleted_names(node: ast.AST) -> set[str]:
    """Return the names that a piece of code deletes."""
    return {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Del)}


def _bound(node: ast.stmt) -> frozenset[str]:
    """Return the module's names that a statement binds, those that its functions declare ``global`` among them."""
    scopes = [symtable.symtable(ast.unparse(node), "<cell>", "exec")]
    names: set[str] = set()
    while scopes:
        scope = scopes.pop()
        for symbol in scope.get_symbols():
            bound = symbol.is_assigned() or symbol.is_imported()
            if bound and (scope.get_type() == "module" or symbol.is_declared_global()):
                names.add(symbol.get_name())
        scopes += scope.get_children()
    return frozenset(names)


def _starred(node: ast.ImportFrom) -> frozenset[str]:
    """Return what ``from module import *`` binds, which only the module knows."""
    if node.names[0].name != "*" or node.level or node.module is None:
        return frozenset()
    try:
        module = importlib.import_module(node.module)
    except Exception:  # a module of the instructor's may fail in any way
        return frozenset()
    return frozenset(getattr(module, "__all__", [name for name in dir(module) if name[0] != "_"]))


def changed_names(tree: ast.AST) -> set[str]:
    """Return the global names whose objects a piece of code changes in place, as far as its text tells."""
    return set(_changed(tree, frozenset()))


def _changed(node: ast.AST, local: frozenset[str]) -> Iterator[str]:
    if isinstance(node, _FUNCTIONS):
        local |= _locals(node)
    for root in _roots(node):
        if root not in local:
            yield root
    for child in ast.iter_child_nodes(node):
        yield from _changed(child, local)


def _locals(function: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> frozenset[str]:
    arguments = {inner.arg for inner in ast.walk(function.args) if isinstance(inner, ast.arg)}
    if isinstance(function, ast.Lambda):
        return frozenset(arguments)
    inside = [inner for statement in function.body for inner in ast.walk(statement)]
    stored = {inner.id for inner in inside if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store)}
    shared = {name for inner in inside if isinstance(inner, ast.Global) for name in inner.names}
    return frozenset((arguments | stored) - shared)


def _roots(node: ast.AST) -> Iterable[str]:
    """Return the names at the root of what one node changes: ``x`` of ``x.y[0] = 1``, ``x.sort()``, ``shuffle(x)``."""
    if isinstance(node, ast.Attribute | ast.Subscript) and not isinstance(node.ctx, ast.Load):
        return _root(node)
    if isinstance(node, ast.AugAssign):
        return _root(node.target)
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        call = node.value
        name = getattr(call.func, "attr", getattr(call.func, "id", ""))
        changed = call.args if name in _CHANGERS else []
        return {
            root
            for item in (call.func, *changed)
            if not isinstance(item, ast.Name) or item in changed
            for root in _root(item)
        }
    return ()


def _root(node: ast.AST) -> set[str]:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return {node.id} if isinstance(node, ast.Name) else set()
