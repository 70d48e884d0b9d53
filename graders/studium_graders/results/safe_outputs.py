"""Outputs that are safe to look at: what a student's cell showed, reduced to types that cannot hide a script."""

import re
from collections.abc import Iterable
from typing import Any

_IMAGES = ("image/png", "image/jpeg")
_BASE64 = re.compile(r"[A-Za-z0-9+/=\s]*")


def safe_outputs(outputs: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return nbformat outputs as streams, errors, plain text and bitmaps; anything else is dropped."""
    return [safe for output in outputs if (safe := _safe(output))]


def error_output(name: str, message: str) -> dict[str, Any]:
    """Return the output of a cell that failed with this message."""
    return {"output_type": "error", "ename": name, "evalue": message, "traceback": [f"{name}: {message}"]}


def value_output(text: str) -> dict[str, Any]:
    """Return the output of a cell that ends with a value."""
    return {"output_type": "execute_result", "execution_count": None, "metadata": {}, "data": {"text/plain": text}}


def _safe(output: dict[str, Any]) -> dict[str, Any] | None:
    kind = output.get("output_type")
    if kind == "stream":
        name = "stderr" if output.get("name") == "stderr" else "stdout"
        return {"output_type": "stream", "name": name, "text": _text(output.get("text"))}
    if kind == "error":
        lines = output.get("traceback") or ()
        safe = error_output(_text(output.get("ename")), _text(output.get("evalue")))
        return safe | {"traceback": [_text(line) for line in lines] if isinstance(lines, list | tuple) else []}
    if kind in ("execute_result", "display_data"):
        count = {"execution_count": None} if kind == "execute_result" else {}
        return {"output_type": kind, "metadata": {}, "data": _safe_data(output.get("data")), **count}
    return None


def _safe_data(data: Any) -> dict[str, str]:
    if not isinstance(data, dict):
        return {}
    plain = {"text/plain": _text(data["text/plain"])} if "text/plain" in data else {}
    images = {kind: _text(data[kind]) for kind in _IMAGES if kind in data}
    return plain | {kind: image for kind, image in images.items() if _BASE64.fullmatch(image)}


def _text(value: Any) -> str:
    return "".join(map(str, value)) if isinstance(value, list | tuple) else str(value or "")
