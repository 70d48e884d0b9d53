"""What a page must not show: lines that occur only in hidden tests."""

from collections.abc import Callable, Iterable

from studium_graders.engine.material.assignment import NotebookMaterial

_SHORTEST = 8  # characters of a meaningful line


def secret_finder(material: NotebookMaterial, released: Iterable[str]) -> Callable[[str], bool]:
    """Return a function that detects whether a text repeats a line of a hidden test that students never got.

    ``released`` are sources that the student had: what was handed out, and what the student wrote.
    """
    known = {line for source in released for line in _lines(source)}
    hidden = (line for cell in material.cells if cell.hidden for line in _lines(cell.source))
    secrets = frozenset(line for line in hidden if line not in known and not line.startswith("###"))
    return lambda text: any(line in text for line in secrets)


def _lines(source: str) -> Iterable[str]:
    return (line for line in map(str.strip, source.splitlines()) if len(line) >= _SHORTEST)
