"""Mutants of a solution: its text with a single change that alters what it computes.

The change is made in the text, not in a syntax tree that is written out again, so a mutant still reads like the
author's own line. The operators imitate numerical mistakes: a wrong sign, axis, bound, reduction, mask, argument or
dtype, and a term, copy or step that is missing.
"""

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from studium.exercises.syntax import parse
from studium.exercises.text_edits import Edit, SourceText


@dataclass(frozen=True)
class Mutant:
    """A changed solution: the line number of the change, that line before and after, and the new function.

    ``border`` is True if the change moves or removes a border: of a comparison, a number, ``or``, ``max`` or ``min``.
    """

    line: int
    before: str
    after: str
    source: str
    border: bool = False

    @property
    def change(self) -> str:
        """The change as a diff without headers."""
        removed = [f"-{line}" for line in self.before.splitlines()]
        return "\n".join([*removed, *(f"+{line}" for line in self.after.splitlines())])


_OPERATORS: dict[type[ast.operator], tuple[str, str]] = {
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "/"),
    ast.Div: ("/", "*"),
    ast.FloorDiv: ("//", "/"),
    ast.Mod: ("%", "//"),
    ast.Pow: ("**", "*"),
    ast.BitAnd: ("&", "|"),
    ast.BitOr: ("|", "&"),
}
_COMPARISONS: dict[type[ast.cmpop], tuple[str, tuple[str, ...]]] = {
    ast.Lt: ("<", ("<=", ">")),
    ast.LtE: ("<=", ("<", ">=")),
    ast.Gt: (">", (">=", "<")),
    ast.GtE: (">=", (">", "<=")),
    ast.Eq: ("==", ("!=",)),
    ast.NotEq: ("!=", ("==",)),
    ast.Is: ("is", ("is not",)),
    ast.IsNot: ("is not", ("is",)),
    ast.In: ("in", ("not in",)),
    ast.NotIn: ("not in", ("in",)),
}
_PAIRS = (
    ("sum", "mean"),
    ("max", "min"),
    ("amax", "amin"),
    ("argmax", "argmin"),
    ("maximum", "minimum"),
    ("clamp_min", "clamp_max"),
    ("tril", "triu"),
    ("cos", "sin"),
    ("floor", "ceil"),
    ("cumsum", "cumprod"),
    ("any", "all"),
    ("var", "std"),
    ("exp", "exp2"),
    ("log", "log2"),
    ("softmax", "log_softmax"),
    ("rand", "randn"),
    ("rand_like", "randn_like"),
    ("ones", "zeros"),
    ("ones_like", "zeros_like"),
    ("in_features", "out_features"),
    ("randint", "rand"),
    ("eq", "ne"),
    ("float64", "float32"),
    ("add_", "sub_"),
    ("mul_", "div_"),
    ("sigmoid", "tanh"),
    ("relu", "abs"),
)
_OTHER_NAMES = {one: other for pair in _PAIRS for one, other in (pair, pair[::-1])}
_STRINGS = {"mean": "sum", "sum": "mean", "none": "mean", "-inf": "inf", "inf": "-inf", "ij": "xy"}
# Calls that return the same kind of thing as they are given: leaving one out is a mistake that still runs.
_LEFT_OUT = {
    "abs",
    "bool",
    "clone",
    "copy",
    "cumprod",
    "cumsum",
    "deepcopy",
    "detach",
    "double",
    "exp",
    "flip",
    "float",
    "list",
    "log",
    "long",
    "mean",
    "neg",
    "norm",
    "permute",
    "reciprocal",
    "relu",
    "reversed",
    "round",
    "rsqrt",
    "sigmoid",
    "softmax",
    "sorted",
    "sqrt",
    "square",
    "swapaxes",
    "t",
    "tanh",
    "to",
    "transpose",
    "type_as",
}
_COMMUTATIVE = {
    "add",
    "allclose",
    "dot",
    "equal",
    "gcd",
    "hypot",
    "isclose",
    "maximum",
    "minimum",
    "mul",
    "max",
    "min",
    "promote_types",
    "swapaxes",
    "transpose",
    "type",
    "isinstance",
}
_SAME_ON_CPU = ("device", "non_blocking", "pin_memory")


def mutants_of(text: str, name: str, line: int = 0) -> list[Mutant]:
    """Return the mutants of the function ``name`` in a module's ``text``, changed only between its solution markers.

    If several functions have that name, ``line`` picks one by the line of its first decorator.
    """
    source, function, edits = edits_of(text, name, line)
    original = source.function(function, ())
    seen = {_code_of(original)}
    found = []
    for edit, border in edits:
        mutated = source.function(function, (edit,))
        code = _code_of(mutated)
        if code is not None and code not in seen:
            seen.add(code)
            found.append(Mutant(*source.changed_lines(edit), mutated, border))
    return sorted(found, key=lambda mutant: mutant.line)


def edits_of(text: str, name: str, line: int = 0) -> tuple[SourceText, ast.FunctionDef, Iterator[tuple[Edit, bool]]]:
    """Return a module's text, the function ``name`` in it, and its changes; several may mean the same, or nothing.

    With each change comes whether it concerns a border.
    """
    source = SourceText(text)
    named = (n for n in parse(text).body if isinstance(n, ast.FunctionDef) and n.name == name)
    function = next(n for n in named if line in (0, n.lineno, *(mark.lineno for mark in n.decorator_list)))
    return source, function, _edits(function, source, source.solution_lines(function))


def _code_of(text: str) -> str | None:
    """Return what identifies a function's meaning, whatever its layout, or None if it does not parse."""
    try:
        return ast.dump(parse(text.lstrip("\n")))
    except SyntaxError:
        return None


def _edits(function: ast.FunctionDef, source: SourceText, inside: range) -> Iterator[tuple[Edit, bool]]:
    """Return the changes of a solution, each with whether it concerns a border."""
    signed = [node.operand for node in ast.walk(function) if isinstance(node, ast.UnaryOp)]  # changed with their sign
    for node in ast.walk(function):
        if _line(node) in inside and not (isinstance(node, ast.Constant) and node in signed):
            for kind in type(node).__mro__:
                if operator := _OF.get(kind):
                    yield from ((edit, _draws_border(node)) for edit in operator(node, source))


def _draws_border(node: ast.AST) -> bool:
    number = isinstance(node, ast.Constant) and type(node.value) in (int, float)
    return number or isinstance(node, ast.Compare | ast.BoolOp | ast.Name)


def _line(node: ast.AST) -> int:
    """Return the line where a node starts; a comprehension has no line number itself."""
    place = node.target if isinstance(node, ast.comprehension) else node
    return getattr(place, "lineno", 0)


def _binary(node: ast.BinOp, source: SourceText) -> Iterator[Edit]:
    symbol = "@" if isinstance(node.op, ast.MatMult) else _OPERATORS.get(type(node.op), ("", ""))[0]
    if not symbol:
        return
    start, end = source.span(node)
    at = source.find(symbol, source.span(node.left)[1], source.span(node.right)[0])
    left, right = source.text[start:at].rstrip(), source.text[at + len(symbol) : end].lstrip()
    if isinstance(node.op, ast.MatMult):
        yield Edit(start, end, right + b" @ " + left)
        return
    yield Edit(at, at + len(symbol), _OPERATORS[type(node.op)][1].encode())
    if not isinstance(node.op, ast.Mod | ast.FloorDiv):
        yield Edit(start, end, left)
    if isinstance(node.op, ast.Add | ast.Mult | ast.BitAnd | ast.BitOr):
        yield Edit(start, end, right)


def _unary(node: ast.UnaryOp, source: SourceText) -> Iterator[Edit]:
    start, end = source.span(node)
    if isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant) and type(node.operand.value) is int:
        yield from (
            Edit(start, end, str(value).encode()) for value in (-node.operand.value - 1, -node.operand.value + 1)
        )
    else:
        yield Edit(start, end, source.text[start:end].removeprefix(b"not").lstrip(b"-~ "))


def _comparison(node: ast.Compare, source: SourceText) -> Iterator[Edit]:
    before = node.left
    for operator, after in zip(node.ops, node.comparators, strict=True):
        symbol, others = _COMPARISONS[type(operator)]
        at = source.find(symbol, source.span(before)[1], source.span(after)[0])
        yield from (Edit(at, at + len(symbol), other.encode()) for other in others)
        before = after


def _boolean(node: ast.BoolOp, source: SourceText) -> Iterator[Edit]:
    start, end = source.span(node)
    word, other = ("and", b" or ") if isinstance(node.op, ast.And) else ("or", b" and ")
    first, second = node.values[0], node.values[1]
    at = source.find(word, source.span(first)[1], source.span(second)[0])
    left, right = source.text[start:at].rstrip(), source.text[at + len(word) : end].lstrip()
    yield from (Edit(start, end, text) for text in (left + other + right, left, right))


def _constant(node: ast.Constant, source: SourceText) -> Iterator[Edit]:
    start, end = source.span(node)
    value = node.value
    if isinstance(value, bool):
        yield Edit(start, end, str(not value).encode())
    elif isinstance(value, int):
        yield from (Edit(start, end, str(other).encode()) for other in (value + 1, value - 1) if other >= 0)
    elif isinstance(value, float):
        yield Edit(start, end, repr(2 * value or 1.0).encode())
    elif isinstance(value, str) and value in _STRINGS:
        yield Edit(start, end, repr(_STRINGS[value]).encode())


def _attribute(node: ast.Attribute, source: SourceText) -> Iterator[Edit]:
    start, end = source.span(node)
    at = end - len(node.attr)
    if node.attr in ("T", "mT"):
        yield Edit(start, end, source.text[start:at].rstrip().removesuffix(b"."))
    if other := _OTHER_NAMES.get(node.attr):
        yield Edit(at, end, other.encode())


def _name(node: ast.Name, source: SourceText) -> Iterator[Edit]:
    if isinstance(node.ctx, ast.Load) and node.id in ("max", "min", "any", "all"):
        yield Edit(*source.span(node), _OTHER_NAMES[node.id].encode())


def _call(node: ast.Call, source: SourceText) -> Iterator[Edit]:
    name = getattr(node.func, "attr", getattr(node.func, "id", ""))
    if name in _LEFT_OUT:
        yield from _without_call(node, source)
    if len(node.args) >= 2 and name not in _COMMUTATIVE and not any(isinstance(a, ast.Starred) for a in node.args[:2]):
        first, second = (source.span(argument) for argument in node.args[:2])
        text = source.text
        yield Edit(first[0], second[1], text[slice(*second)] + text[first[1] : second[0]] + text[slice(*first)])
    for word in node.keywords:
        flag = isinstance(word.value, ast.Constant) and isinstance(word.value.value, bool)
        if word.arg and word.arg not in _SAME_ON_CPU and not flag:
            yield _without_keyword(word, source)
    if name == "range":
        yield from (_one_less(argument, source) for argument in node.args if not isinstance(argument, ast.Constant))


def _without_call(node: ast.Call, source: SourceText) -> Iterator[Edit]:
    """Replace a call by the object of its method, or by its first argument."""
    start, end = source.span(node)
    is_method = isinstance(node.func, ast.Attribute) and not _is_library(node.func.value)
    if isinstance(node.func, ast.Attribute) and is_method:
        yield Edit(
            start, end, source.text[start : source.span(node.func)[1] - len(node.func.attr)].rstrip().removesuffix(b".")
        )
    elif node.args:
        yield Edit(start, end, b"(" + source.text[slice(*source.span(node.args[0]))] + b")")


def _is_library(node: ast.expr) -> bool:
    text = ast.unparse(node)
    return (
        text in ("torch", "np", "numpy", "math", "copy", "F", "operator", "functools", "itertools") or "torch." in text
    )


def _without_keyword(word: ast.keyword, source: SourceText) -> Edit:
    start, end = source.span(word)
    before = source.text[:start].rstrip()
    return Edit(len(before) - 1, end, b"") if before.endswith(b",") else Edit(start, end, b"")


def _one_less(node: ast.expr, source: SourceText) -> Edit:
    start, end = source.span(node)
    return Edit(start, end, source.text[start:end] + b" - 1")


def _slice(node: ast.Slice, source: SourceText) -> Iterator[Edit]:
    for bound in (node.lower, node.upper):
        if bound is not None and not isinstance(bound, ast.Constant | ast.UnaryOp):
            yield _one_less(bound, source)


def _condition(node: ast.If | ast.IfExp | ast.While, source: SourceText) -> Iterator[Edit]:
    start, end = source.span(node.test)
    yield Edit(start, end, b"not (" + source.text[start:end] + b")")
    if isinstance(node, ast.If):
        yield Edit(start, end, b"False")


def _comprehension(node: ast.comprehension, source: SourceText) -> Iterator[Edit]:
    for condition in node.ifs:
        yield Edit(*source.span(condition), b"True")


def _statement(node: ast.Expr | ast.AugAssign | ast.Delete, source: SourceText) -> Iterator[Edit]:
    if isinstance(node, ast.AugAssign) and type(node.op) in _OPERATORS:
        symbol, other = _OPERATORS[type(node.op)]
        at = source.find(symbol, source.span(node.target)[1], source.span(node.value)[0])
        yield Edit(at, at + len(symbol), other.encode())
    yield Edit(*source.span(node), b"pass")


def _jump(node: ast.Break | ast.Continue, source: SourceText) -> Iterator[Edit]:
    yield Edit(*source.span(node), b"continue" if isinstance(node, ast.Break) else b"break")


def _returned(node: ast.Return, source: SourceText) -> Iterator[Edit]:
    if isinstance(node.value, ast.Tuple) and len(node.value.elts) >= 2:
        first, second = (source.span(item) for item in node.value.elts[:2])
        text = source.text
        yield Edit(first[0], second[1], text[slice(*second)] + text[first[1] : second[0]] + text[slice(*first)])


def _block(node: ast.With, source: SourceText) -> Iterator[Edit]:
    for item in node.items:
        if item.optional_vars is None:
            yield Edit(*source.span(item.context_expr), b'__import__("contextlib").nullcontext()')


_OF: dict[type, Callable[..., Iterator[Edit]]] = {
    ast.BinOp: _binary,
    ast.UnaryOp: _unary,
    ast.Compare: _comparison,
    ast.BoolOp: _boolean,
    ast.Constant: _constant,
    ast.Attribute: _attribute,
    ast.Name: _name,
    ast.Call: _call,
    ast.Slice: _slice,
    ast.If: _condition,
    ast.IfExp: _condition,
    ast.While: _condition,
    ast.comprehension: _comprehension,
    ast.Expr: _statement,
    ast.AugAssign: _statement,
    ast.Delete: _statement,
    ast.Break: _jump,
    ast.Continue: _jump,
    ast.Return: _returned,
    ast.With: _block,
}
