"""What a test may replace in a library and still be judged split."""

import ast
import importlib
from collections.abc import Iterator, Mapping

from studium_graders.engine.judge.dotted_names import path_of, root_of

_BUILTINS = {"input", "print", "open"}  # without the others neither process would work
_MACHINERY = {"sys", "os", "io", "types", "struct", "socket", "signal", "threading", "importlib", "inspect", "IPython"}

SHOWN = {("sys", "stdout"), ("sys", "stderr")}  # here alone: what an answer prints arrives there


def is_replaceable(module: str, attribute: str) -> bool:
    """Tell whether a test may replace an attribute of a module and still be judged split."""
    top = module.partition(".")[0]
    if top in _MACHINERY or top.startswith("studium") or (module == "builtins" and attribute not in _BUILTINS):
        return False
    try:
        return hasattr(importlib.import_module(module), attribute)
    except Exception:  # no module, or one that fails to import
        return False


def followed_targets(tree: ast.Module, imports: Mapping[str, str]) -> Iterator[ast.Attribute]:
    """Give the targets of assignments such as ``np.mean = fake`` that can be made in the student's process too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Attribute):
            target = node.targets[0]
            if root_of(target) in imports and is_replaceable(path_of(target.value, imports), target.attr):
                yield target
