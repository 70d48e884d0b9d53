"""Compare numbers, NumPy arrays, torch tensors and modules."""

import sys
from numbers import Number
from typing import Any

import numpy as np

# The tolerances of torch.testing.assert_close: dtype -> (relative, absolute).
_TOLERANCES = {
    "bfloat16": (1.6e-2, 1e-5),
    "float16": (1e-3, 1e-5),
    "float32": (1.3e-6, 1e-5),
    "complex64": (1.3e-6, 1e-5),
    "float64": (1e-7, 1e-7),
    "complex128": (1e-7, 1e-7),
}


def compare(actual: Any, expected: Any, rtol: float | None, atol: float | None) -> str | None:
    """Compare arrays by shape and value, and modules by structure, parameters and what is trainable.

    Return "" if equal, a sentence if not, and None if ``expected`` is neither.
    """
    if _is_module(actual) and _is_module(expected):
        return _compare_modules(actual, expected, rtol, atol)
    if not _is_array(expected):
        return None
    if not _is_array(actual):
        return f"expected {_kind(expected)}, got {type(actual).__name__}"
    return _compare_arrays(actual, expected, rtol, atol)


def tolerances(actual: Any, expected: Any, rtol: float | None, atol: float | None) -> tuple[float, float]:
    """Return the (relative, absolute) tolerances that apply: those given, or else those of the coarser dtype."""
    standard = max((_TOLERANCES.get(_dtype(x), (0.0, 0.0)) for x in (actual, expected)), key=lambda pair: pair[0])
    relative, absolute = (own if given is None else given for given, own in zip((rtol, atol), standard, strict=True))
    return relative, absolute


def _compare_arrays(actual: Any, expected: Any, rtol: float | None, atol: float | None) -> str:
    ours, theirs = _numpy(expected), _numpy(actual)
    if ours.shape != theirs.shape:
        return f"expected shape {ours.shape}, got {theirs.shape}"
    relative, absolute = tolerances(actual, expected, rtol, atol)
    if relative or absolute:
        wrong = ~np.isclose(_floating(theirs), _floating(ours), rtol=relative, atol=absolute, equal_nan=True)
    else:
        # Integers are compared exactly: as floats, those beyond 2**53 would be rounded. Only NaN differs from itself.
        wrong = np.asarray((theirs != ours) & ~((theirs != theirs) & (ours != ours)))
    return _describe(theirs, ours, wrong) if wrong.any() else ""


def _describe(actual: np.ndarray, expected: np.ndarray, wrong: np.ndarray) -> str:
    first = tuple(int(i) for i in np.argwhere(wrong)[0]) if wrong.ndim else ()
    text = "expected {}, got {}".format(*_distinct(expected[first], actual[first]))
    if not wrong.ndim:
        return text
    extent = _extent(actual[wrong], expected[wrong])
    return f"at index {list(first)} {text} ({int(wrong.sum())} of {wrong.size} values differ{extent})"


def _extent(actual: np.ndarray, expected: np.ndarray) -> str:
    """Describe by how much values differ if all of them do, and how many are, or should be, nan or infinite."""
    if not {actual.dtype.kind, expected.dtype.kind} <= set("iufc"):
        return ""
    said = [
        f"{count} {verb} {what}"
        for verb, values, others in (("are", actual, expected), ("should be", expected, actual))
        for what, kind in (("nan", np.isnan), ("infinite", np.isinf))
        if (count := int((kind(values) & (values != others)).sum()))
    ]
    with np.errstate(invalid="ignore", over="ignore"):
        gaps = np.abs(actual - expected)
    largest = [f"by up to {gaps[np.isfinite(gaps)].max():.3g}"] if np.isfinite(gaps).any() else []
    return "".join(f", {part}" for part in (*largest, *said))


def _distinct(one: Any, other: Any) -> tuple[str, str]:
    """Return two values as text, kept short unless they would look alike."""
    short = _short(one), _short(other)
    return short if short[0] != short[1] else (str(one), str(other))


def _short(value: Any) -> str:
    value = value.item() if isinstance(value, np.bool_ | np.str_) else value  # whose own text begins with "np."
    return f"{value:.6g}" if isinstance(value, Number) and not isinstance(value, bool) else repr(value)


def _compare_modules(actual: Any, expected: Any, rtol: float | None, atol: float | None) -> str:
    ours, theirs = ([(name, type(module).__name__) for name, module in m.named_modules()] for m in (expected, actual))
    if ours != theirs:
        return f"expected the modules {ours}, got {theirs}"
    for (name, one), (_, other) in zip(expected.named_parameters(), actual.named_parameters(), strict=False):
        if one.requires_grad != other.requires_grad:
            return f"parameter {name} must be {'trainable' if one.requires_grad else 'frozen'}, but is not"
    state, other_state = expected.state_dict(), actual.state_dict()
    if state.keys() != other_state.keys():
        return f"expected the parameters {sorted(state)}, got {sorted(other_state)}"
    pairs = ((name, _compare_arrays(other_state[name], state[name], rtol, atol)) for name in state)
    return next((f"in parameter {name}: {found}" for name, found in pairs if found), "")


def _torch() -> Any:
    return sys.modules.get("torch")  # a value can only be a tensor if torch is loaded


def _is_module(value: Any) -> bool:
    torch = _torch()
    return torch is not None and isinstance(value, torch.nn.Module)


def _is_tensor(value: Any) -> bool:
    torch = _torch()
    return torch is not None and isinstance(value, torch.Tensor)


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray | np.generic | Number) or _is_tensor(value)


def _dtype(value: Any) -> str:
    if isinstance(value, Number) and not isinstance(value, np.generic):
        return {float: "float64", complex: "complex128"}.get(type(value), "int64")
    return str(value.dtype).removeprefix("torch.")


def _numpy(value: Any) -> np.ndarray:
    if _is_tensor(value):
        value = value.detach().cpu().resolve_conj().resolve_neg()
        value = (value.double() if value.is_floating_point() else value).numpy()
    array = np.asarray(value)
    return array.astype(np.float64) if array.dtype.kind == "f" else array


def _floating(array: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    return array.astype(np.float64) if array.dtype.kind == "O" else array


def _kind(value: Any) -> str:
    if _is_tensor(value):
        return f"a tensor of shape {tuple(value.shape)}"
    return f"an array of shape {value.shape}" if isinstance(value, np.ndarray) else "a number"
