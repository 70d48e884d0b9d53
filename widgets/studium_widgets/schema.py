"""What a widget's state may be, as plain data, for hosts without a kernel to check a saved state (hosts/schema.js)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import traitlets

from studium_widgets.arrays import Array

__all__ = ["find_out_of_range", "rules"]

Rule = dict[str, Any]

TYPES = (  # the first that fits
    (traitlets.Bool, "boolean"),
    (traitlets.Int, "integer"),
    (traitlets.Float, "number"),
    (traitlets.Unicode, "string"),
    (traitlets.List, "array"),
    (traitlets.Tuple, "array"),
    (traitlets.Dict, "object"),
)


def rules(owner: type[traitlets.HasTraits], names: Iterable[str]) -> dict[str, Rule]:
    """{name: rule}, a rule in the words of JSON Schema: type, minimum, maximum, enum, items, minItems, maxItems.

    Besides them "nullable", and type "tensor" with dtype, shape and finite as `Array` has them. An empty rule allows
    anything. Traits are related by an axis of the same name in two arrays, and by tags that are rules:

    between=(low, high)   bounds of a number or of each number in a list. A bound may name an axis of an Array or a
                          list, whose indices the number is one of, or another number
    each="tokens"         a list has one item for each index of that axis or list
    each_if_any="tokens"  the same, or it is empty
    """
    traits = owner.class_traits()
    return {name: _rule(traits[name]) | _relations(traits[name]) for name in names}


def find_out_of_range(widget: traitlets.HasTraits, names: Iterable[str]) -> str:
    """Return a sentence about the first number outside the range in its tag, or ""."""
    traits = widget.traits()
    for name in names:
        low, high = traits[name].metadata.get("between", (None, None))
        if high is None:
            continue
        low, high = (_bound(widget, bound) for bound in (low, high))
        given = getattr(widget, name)
        for value in given if isinstance(given, list) else [given]:
            if value is not None and not low <= value <= high:
                return f"{name} needs to be from {_short(low)} to {_short(high)}, got {_short(value)}"
    return ""


def _bound(widget: traitlets.HasTraits, bound: Any) -> float:
    if not isinstance(bound, str):
        return float(bound)
    for name, trait in widget.traits().items():
        array = getattr(widget, name) if isinstance(trait, Array) and bound in (trait.shape or ()) else None
        if array is not None:
            return float(array.shape[trait.shape.index(bound)] - 1)
    value = getattr(widget, bound, math.inf)  # an axis of an array that is not given sets no bounds
    return len(value) - 1 if isinstance(value, list) else float(value)


def _short(number: float) -> str:
    return str(int(number)) if float(number).is_integer() and abs(number) < 1e6 else f"{number:g}"


def _relations(trait: Any) -> Rule:
    return {key: trait.metadata[key] for key in ("between", "each", "each_if_any") if key in trait.metadata}


def _rule(trait: Any) -> Rule:
    rule = _tensor(trait) if isinstance(trait, Array) else _plain(trait)
    return rule | {"nullable": True} if rule and trait.allow_none else rule


def _tensor(trait: Array) -> Rule:
    return {"type": "tensor", "dtype": trait.dtype, "shape": trait.shape, "finite": trait.finite}


def _plain(trait: Any) -> Rule:
    if isinstance(trait, traitlets.Enum):
        return {"enum": list(trait.values)}
    name = next((name for kind, name in TYPES if isinstance(trait, kind)), None)
    if name is None:
        return {}
    return {"type": name} | _limits(trait) | _items(trait)


def _limits(trait: Any) -> Rule:
    """Return the bounds of a number, if it has any; traitlets expresses "none" differently for each type."""
    bounds = {"minimum": getattr(trait, "min", None), "maximum": getattr(trait, "max", None)}
    return {key: bound for key, bound in bounds.items() if bound is not None and abs(bound) != float("inf")}


def _items(trait: Any) -> Rule:
    if not isinstance(trait, traitlets.List):
        return {}
    rule: Rule = {"items": _rule(trait._trait)} if trait._trait is not None else {}
    if trait._minlen:
        rule["minItems"] = trait._minlen
    if trait._maxlen < 2**31:
        rule["maxItems"] = trait._maxlen
    return rule
