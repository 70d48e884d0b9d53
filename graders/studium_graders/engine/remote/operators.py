"""The methods with two underscores that an object of the other side may have, and those that are checked."""

from studium_graders.engine.remote.policy import BINARY, STANDING_IN

_COMPARISONS = {f"__{name}__" for name in ["eq", "ne", "lt", "le", "gt", "ge"]}
IN_PLACE = {f"__i{name}__" for name in BINARY}
_ARITHMETIC = {f"__{kind}{name}__" for kind in ("", "r") for name in BINARY} | IN_PLACE
_CONVERSIONS = {
    f"__{name}__"
    for name in ["bool", "int", "float", "complex", "index", "hash", "neg", "pos", "abs", "invert", "round", "contains"]
}
GUARDED = _COMPARISONS | _ARITHMETIC | _CONVERSIONS
"""Operators by which an object could decide a test; the policy says who may answer them."""
ASKED = GUARDED | STANDING_IN.keys()
"""Those for which the policy is asked."""

_FREE = {
    *("__len__", "__iter__", "__next__", "__getitem__", "__setitem__", "__delitem__", "__call__", "__str__"),
    *("__repr__", "__enter__", "__exit__", "__reversed__", "__format__", "__dir__", "__missing__"),
    *("__await__", "__aiter__", "__anext__", "__aenter__", "__aexit__", "__sklearn_clone__"),
}
LATER = frozenset({"__anext__", "__aenter__", "__aexit__"})
"""Those whose result is awaited."""
SPECIAL = GUARDED | _FREE
