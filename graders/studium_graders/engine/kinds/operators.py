"""The methods with two underscores that an object of the other side may have, and those that a permission is for."""

BINARY = (
    *("add", "sub", "mul", "truediv", "floordiv", "mod", "divmod", "pow", "matmul"),
    *("and", "or", "xor", "lshift", "rshift"),
)
SPELLINGS = {
    **{f"__{kind}{name}__": f"__{name}__" for name in BINARY for kind in "ri"},
    "__ne__": "__eq__",
    "__gt__": "__lt__",
    "__le__": "__lt__",
    "__ge__": "__lt__",
}
"""Operators in place of which a class may define another one: where that is allowed, so are they."""

STANDING_IN = {"__len__": "__bool__", "__iter__": "__contains__", "__getitem__": "__contains__"}
"""What Python asks where a class lacks an operator. Everybody may answer it; the reference needs the operator then."""

_COMPARISONS = {f"__{name}__" for name in ["eq", "ne", "lt", "le", "gt", "ge"]}
IN_PLACE = {f"__i{name}__" for name in BINARY}
_ARITHMETIC = {f"__{kind}{name}__" for kind in ("", "r") for name in BINARY} | IN_PLACE
_CONVERSIONS = {
    f"__{name}__"
    for name in ["bool", "int", "float", "complex", "index", "hash", "neg", "pos", "abs", "invert", "round", "contains"]
}
GUARDED = _COMPARISONS | _ARITHMETIC | _CONVERSIONS
"""Operators by which an object could decide a test: only those answer them whose path has a permission for it."""
ASKED = GUARDED | STANDING_IN.keys()
"""Those for which permission is asked."""

_FREE = {
    *("__len__", "__iter__", "__next__", "__getitem__", "__setitem__", "__delitem__", "__call__", "__str__"),
    *("__repr__", "__enter__", "__exit__", "__reversed__", "__format__", "__dir__", "__missing__"),
    "__sklearn_clone__",
}
SPECIAL = GUARDED | _FREE


def spelling(operator: str) -> str:
    """Return the operator under which it is known whether this one may be answered, and where its result came from."""
    return SPELLINGS.get(operator, operator)
