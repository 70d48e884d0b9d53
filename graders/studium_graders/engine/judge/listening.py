"""Tests of warnings and logs, known by their text: they are told what an answer warns of (``remote.notices``)."""

import ast
from collections.abc import Mapping

from studium_graders.engine.judge.dotted_names import imported_names, is_within, path_of
from studium_graders.engine.judge.file_use import evaluated

_CONTEXTS = (
    *(f"pytest.{name}" for name in ("warns", "deprecated_call")),
    *(f"numpy.testing.{name}" for name in ("assert_warns", "assert_no_warnings", "suppress_warnings")),
    "logging",
)
_METHODS = {"assertWarns", "assertWarnsRegex", "assertLogs", "assertNoLogs"}
_FILTERS = ("warnings.simplefilter", "warnings.filterwarnings")
_QUIET = ("ignore", "default")
# What is set of loggers in the process of an answer is not so in that of a test.
_SETTINGS = {
    "basicConfig", "config", "disable", "disabled", "filters", "getEffectiveLevel", "getLoggerClass", "handlers",
    "hasHandlers", "isEnabledFor", "lastResort", "level", "manager", "parent", "propagate", "root",
}  # fmt: skip


def listens(tree: ast.Module, imports: Mapping[str, str]) -> bool:
    """Tell whether a test looks at what is warned of or logged, or makes warnings errors."""
    return any(_is_heard(node, imports) for node in ast.walk(tree)) or any(
        listens(text, {**imports, **imported_names([text])}) for text in evaluated(tree)
    )


def looks_at_loggers(tree: ast.Module, imports: Mapping[str, str]) -> bool:
    """Tell whether a test that uses loggers looks at what they are set to."""
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute | ast.Name)]
    if not any(is_within(path_of(node, imports), ("logging",)) for node in nodes):
        return False
    read = {node.attr for node in nodes if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)}
    return not read.isdisjoint(_SETTINGS)


def _is_heard(node: ast.AST, imports: Mapping[str, str]) -> bool:
    match node:
        case ast.Attribute(_, name) if name in _METHODS:
            return True
        case ast.Attribute() | ast.Name():
            return is_within(path_of(node, imports), _CONTEXTS)
        case ast.Call(func, args, keywords):
            path = path_of(func, imports)
            given = [*args[:1], *(keyword.value for keyword in keywords)]
            quiet = any(isinstance(item, ast.Constant) and item.value in _QUIET for item in given)
            return (path == "warnings.catch_warnings" and bool(keywords)) or (path in _FILTERS and not quiet)
    return False
