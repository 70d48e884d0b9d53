"""Compare a learner's value with the expected one, and describe in one sentence where they first differ."""

import reprlib
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

_IDENTITY: Any = object.__eq__
_LIVE_WIDGET = "application/vnd.jupyter.widget-view+json"


def assert_close(
    actual: Any, expected: Any, *, rtol: float | None = None, atol: float | None = None, message: str = ""
) -> None:
    """Fail with a sentence about the first difference, unless ``actual`` equals ``expected`` within tolerance.

    Handles numbers, strings, containers, dataclasses, arrays, tensors (exact shape, any dtype) and modules, and
    whatever plugins add with ``studium_compare``. Tolerances default to those of ``torch.testing.assert_close`` for the
    coarser of the two dtypes. ``message`` is put before the difference.
    """
    comparison = _Comparison(rtol, atol)
    found = comparison.difference(actual, expected)
    if found:
        raise DifferenceError(f"{message}: {found}" if message else found, comparison)


def difference(actual: Any, expected: Any, *, rtol: float | None = None, atol: float | None = None) -> str:
    """Return "" if the values are equal, or one sentence about the first difference."""
    return _Comparison(rtol, atol).difference(actual, expected)


class DifferenceError(AssertionError):
    """Values that should be equal are not. ``pair`` is the first parts that differ, or None if they are not arrays."""

    def __init__(self, sentence: str, comparison: "_Comparison") -> None:
        super().__init__(sentence)
        self.rtol, self.atol = comparison.rtol, comparison.atol
        self.pair = comparison.pair if comparison.pair and all(map(_has_axes, comparison.pair)) else None


def show_difference(error: DifferenceError) -> Any | None:
    """Return a plugin's picture of the two arrays, or None if no plugin knows them."""
    from studium.catalogue.plugins import load_plugins
    from studium.exercises.compare_arrays import tolerances

    if error.pair is None:
        return None
    actual, expected = error.pair
    rtol, atol = tolerances(actual, expected, error.rtol, error.atol)
    values = {"actual": actual, "expected": expected, "rtol": rtol, "atol": atol}
    return load_plugins().manager.hook.studium_show_difference(**values)


def saved_difference(error: DifferenceError) -> dict[str, Any]:
    """Return the same picture by MIME type, without what needs a kernel; its sentence if no plugin knows the arrays."""
    shown = show_difference(error)
    if shown is None:
        return {"text/plain": str(error)}
    forms: dict[str, Any] = shown._repr_mimebundle_()[0]
    return {kind: form for kind, form in forms.items() if kind != _LIVE_WIDGET}


def _has_axes(value: Any) -> bool:
    return bool(getattr(value, "shape", ()))


@dataclass
class _Comparison:
    rtol: float | None
    atol: float | None
    pair: tuple[Any, Any] | None = None  # the actual and expected parts that a plugin found to differ

    def difference(self, actual: Any, expected: Any) -> str:
        if isinstance(expected, bool | str | bytes | None):
            return self._unequal(actual, expected)
        if isinstance(expected, Mapping) and isinstance(actual, Mapping):
            return self._mappings(actual, expected)
        if isinstance(expected, Set) and isinstance(actual, Set):
            return self._sets(actual, expected)
        if isinstance(expected, Sequence) and isinstance(actual, Sequence):
            return self._sequences(actual, expected)
        if is_dataclass(expected) and not isinstance(expected, type) and type(actual) is type(expected):
            return self._mappings(*({f.name: getattr(x, f.name) for f in fields(x)} for x in (actual, expected)))
        return self._plugged(actual, expected)

    def _mappings(self, actual: Mapping[Any, Any], expected: Mapping[Any, Any]) -> str:
        if found := self._sets(actual.keys(), expected.keys()):
            return f"keys differ: {found}"
        pairs = ((key, self.difference(actual[key], expected[key])) for key in expected)
        return next((f"at key {key!r}: {found}" for key, found in pairs if found), "")

    def _sets(self, actual: Set[Any], expected: Set[Any]) -> str:
        parts = (("missing", expected - actual), ("not expected", actual - expected))
        return " and ".join(f"{what} {reprlib.repr(min(items, key=repr))}" for what, items in parts if items)

    def _sequences(self, actual: Sequence[Any], expected: Sequence[Any]) -> str:
        if len(actual) != len(expected):
            return f"expected {len(expected)} items, got {len(actual)}"
        pairs = enumerate(map(self.difference, actual, expected))
        return next((f"at item {index}: {found}" for index, found in pairs if found), "")

    def _plugged(self, actual: Any, expected: Any) -> str:
        from studium.exercises.compare_arrays import compare

        found = compare(actual, expected, self.rtol, self.atol)
        if found is None:  # looking for installed plugins costs tens of milliseconds
            from studium.catalogue.plugins import load_plugins

            values = {"actual": actual, "expected": expected, "rtol": self.rtol, "atol": self.atol}
            found = load_plugins().manager.hook.studium_compare(**values)
        if found:
            self.pair = actual, expected
        return self._unequal(actual, expected) if found is None else str(found)

    def _unequal(self, actual: Any, expected: Any) -> str:
        try:
            same = bool(actual == expected)
        except Exception:  # a learner's __eq__ may do anything
            same = False
        return "" if same else _unequal_values(actual, expected)


def _unequal_values(actual: Any, expected: Any) -> str:
    if type(actual) is type(expected) and type(actual).__eq__ is _IDENTITY and not callable(actual):
        return f"{type(actual).__name__} does not define ==, so no two of its objects are equal"
    shown, other = reprlib.repr(expected), reprlib.repr(actual)
    if shown == other and isinstance(actual, str) and isinstance(expected, str):
        return _unequal_texts(actual, expected)
    return f"expected {shown}, got {other if shown != other else 'another that looks like it'}"


def _unequal_texts(actual: str, expected: str) -> str:
    """Show where texts differ that look alike when shortened."""
    pairs = enumerate(zip(actual, expected, strict=False))
    first = next((index for index, (a, b) in pairs if a != b), min(len(actual), len(expected)))
    part = slice(max(0, first - 10), first + 15)
    return f"at letter {first}: expected {expected[part]!r}, got {actual[part]!r}"
