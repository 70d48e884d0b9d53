"""Trees of scikit-learn's as parts: taken apart into columns, and checked when they are built, for C walks them."""

import importlib
from typing import Any

import numpy as np

from studium_graders.engine.remote.wire import ProtocolError

_NAME = "sklearn.tree._tree"
_DEEPEST = 1 << 20
_LEAF = -1


def is_tree(cls: type) -> bool:
    """Tell whether a class is that of the nodes of a fitted tree."""
    return cls.__name__ == "Tree" and cls.__module__ == _NAME and cls is _module().Tree


def take_apart(tree: Any) -> list[Any]:
    """Give the parts of a tree: features, classes of each output, depth, the columns of its nodes, and their values."""
    state = tree.__getstate__()
    nodes = state["nodes"]
    columns = [np.ascontiguousarray(nodes[name]) for name in nodes.dtype.names]
    return [tree.n_features, np.array(tree.n_classes), state["max_depth"], columns, state["values"]]


def build(features: Any, classes: Any, depth: Any, columns: Any, values: Any) -> Any:
    """Build a tree from its parts; raise ProtocolError where it is none."""
    module = _module()
    if not (type(features) is int and type(depth) is int and 0 <= depth < _DEEPEST):
        raise ProtocolError("no tree")
    nodes = np.zeros(len(values), module.NODE_DTYPE)
    for name, column in zip(nodes.dtype.names, columns, strict=True):
        nodes[name] = column
    _require_sound(nodes, features, depth)
    if classes.ndim != 1 or classes.dtype != np.intp or not ((classes > 0) & (classes <= values.shape[-1])).all():
        raise ProtocolError("a tree of no classes")
    tree = module.Tree(features, classes, len(classes))
    tree.__setstate__({"max_depth": depth, "node_count": len(nodes), "nodes": nodes, "values": values})
    return tree


def _require_sound(nodes: Any, features: int, depth: int) -> None:
    """Raise ProtocolError unless each walk from the root ends at a leaf, and asks for features that there are.

    No walk may be longer than the depth: memory is set aside for that many nodes.
    """
    places = np.arange(len(nodes))
    inner = nodes["left_child"] != _LEAF
    for side in ("left_child", "right_child"):
        child = nodes[side]
        if not np.where(inner, (places < child) & (child < len(nodes)), child == _LEAF).all():
            raise ProtocolError("a tree with a node that leads nowhere")
    if not len(nodes) or not np.where(inner, (nodes["feature"] >= 0) & (nodes["feature"] < features), True).all():
        raise ProtocolError("a tree with a node of no feature")
    if _longest_walk(nodes["left_child"][inner], nodes["right_child"][inner], places[inner]) > depth:
        raise ProtocolError("a tree that is deeper than it says")


def _longest_walk(left: Any, right: Any, inner: Any) -> int:
    """Give the number of steps from the root to the deepest leaf, where children come after their parents."""
    steps: dict[int, int] = {0: 0}
    for place, *children in zip(inner.tolist(), left.tolist(), right.tolist(), strict=True):
        for child in children:
            steps[child] = max(steps.get(child, 0), steps.get(place, 0) + 1)
    return max(steps.values())


def _module() -> Any:
    return importlib.import_module(_NAME)
