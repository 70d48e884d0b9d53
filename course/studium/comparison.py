"""Comparing a learner's value with the expected one, and saying in one sentence where they first differ."""

import reprlib
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from studium.plugins import builtin_plugins, load_plugins


def assert_close(
    actual: Any, expected: Any, *, rtol: float | None = None, atol: float | None = None, message: str = ""
) -> None:
    """Fail with a sentence that names the first difference, unless ``actual`` equals ``expected`` within tolerance.

    Knows numbers, strings, containers, dataclasses, arrays, tensors (shape exact, dtype free) and modules, and what
    plugins add with ``studium_compare``. Tolerances default to those of ``torch.testing.assert_close`` for the coarser
    of the two dtypes. ``message`` goes before the difference.
    """
    found = difference(actual, expected, rtol=rtol, atol=atol)
    if found:
        raise AssertionError(f"{message}: {found}" if message else found)


def difference(actual: Any, expected: Any, *, rtol: float | None = None, atol: float | None = None) -> str:
    """Give "" where the values are equal, else one sentence about the first difference."""
    return _Comparison(rtol, atol).difference(actual, expected)


@dataclass(frozen=True)
class _Comparison:
    rtol: float | None
    atol: float | None

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
        values = {"actual": actual, "expected": expected, "rtol": self.rtol, "atol": self.atol}
        found = builtin_plugins().hook.studium_compare(**values)
        if found is None:  # looking for installed plugins costs tens of milliseconds
            found = load_plugins().manager.hook.studium_compare(**values)
        return self._unequal(actual, expected) if found is None else str(found)

    def _unequal(self, actual: Any, expected: Any) -> str:
        try:
            same = bool(actual == expected)
        except Exception:  # an __eq__ of the learner's may do anything
            same = False
        return "" if same else f"expected {reprlib.repr(expected)}, got {reprlib.repr(actual)}"
