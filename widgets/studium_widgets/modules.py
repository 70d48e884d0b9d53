"""Turn a JavaScript file with relative imports into one text that loads from anywhere.

A notebook front end loads a widget's source from a Blob URL, where a relative import has nothing to be relative to.
`link` therefore writes every imported file once into a table; the resulting text is itself a module, which turns the
table into `data:` URLs, imported files first, and exports the first file's default. `compressed` makes a module of it
that unpacks itself, because every live widget sends its source.
"""

from __future__ import annotations

import base64
import gzip
import json
import posixpath
import re
from functools import lru_cache
from pathlib import Path

__all__ = ["ModuleLinkError", "compressed", "link", "pack", "pack_module"]

PACKAGE = Path(__file__).parent
SPECIFIER = re.compile(r"""^(\s*(?:import|export|\})[^;'"`]*?\bfrom\s*|\s*import\s*)(["'])([^"']+)\2""", re.MULTILINE)
COMMENT = re.compile(r"^[ \t]*(?://[^\n]*|/\*.*?\*/[ \t]*)\n", re.MULTILINE | re.DOTALL)
REMARK = re.compile(r"(?<=[;,{}]) //[^\n\"'`]*$", re.MULTILINE)  # no string is open where none is closed behind it

INDENT = re.compile(r"^[ \t]+", re.MULTILINE)

LOADER = """\
const table = {table};
const urls = {{}};
for (const [name, text] of table) {{
  const linked = text.replace(/"studium:([^"]+)"/g, (_, needed) => JSON.stringify(urls[needed]));
  urls[name] = "data:text/javascript;charset=utf-8," + encodeURIComponent(linked + "\\n//# sourceURL=studium/" + name);
}}
export default (await import(urls[table.at(-1)[0]])).default;
"""

UNPACK = """\
const bytes = (packed) => Uint8Array.from(atob(packed), (character) => character.charCodeAt(0));
const gunzip = (packed) => new Blob([bytes(packed)]).stream().pipeThrough(new DecompressionStream("gzip"));
const unpack = (packed) => new Response(gunzip(packed)).text();
const load = async (packed) =>
  (await import("data:text/javascript;charset=utf-8," + encodeURIComponent(await unpack(packed)))).default;
"""


class ModuleLinkError(ValueError):
    """An import names a missing file or a package that is not ours, or files import each other in a circle."""


def link(entry: Path, source: str | None = None) -> str:
    """Return the text of one ES module that contains `entry` and everything it imports.

    Imports may be relative (`./controls/slider.js`) or, from another package, `studium_widgets/controls/slider.js`.
    Whole-line comments and indentation are left out, so no template literal may span lines. The result has only
    `entry`'s default export. `source`: the text of `entry`, if it is not a file. Raises ModuleLinkError, which names
    the importing file.
    """
    table: dict[Path, str] = {}
    _collect(entry.resolve(), (), table, source)
    rows = ",\n".join(table.values())
    return LOADER.format(table=f"[{rows}]")


def compressed(module: str) -> str:
    """Return an ES module with the same default export that unpacks itself: about half as long."""
    return f'{UNPACK}export default await load("{pack_module(module)}");\n'


def pack(text: str) -> str:
    """Return the text as base64 of gzip, which `unpack` of UNPACK reads. The same text gives the same result."""
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode("ascii")


pack_module = lru_cache(maxsize=128)(pack)
"""As `pack`, for the text of a module, which is packed again and again: anywidget alone asks three times a widget."""


def _quoted(text: str) -> str:
    """Return a JavaScript string in single quotes: our files are full of double quotes, each of which would cost a
    backslash.
    """
    inner = json.dumps(text, ensure_ascii=False)[1:-1].replace('\\"', '"')
    return "'" + inner.replace("'", "\\'").replace("</", "<\\/") + "'"


def _collect(path: Path, importers: tuple[Path, ...], table: dict[Path, str], source: str | None = None) -> None:
    """Add the row of `path` to the table after those of everything it imports."""
    if path in importers:
        circle = " → ".join(step.name for step in (*importers, path))
        raise ModuleLinkError(f"modules need to import without a circle, got {circle}: move the shared part out")
    if path in table:
        return
    try:
        row, imports = _row(path, path.stat().st_mtime_ns if source is None else 0, source)
    except OSError:
        by = f", imported by {importers[-1].name}" if importers else ""
        raise ModuleLinkError(f"a readable JavaScript file is needed, got {path}{by}: check its spelling") from None
    for imported in imports:
        _collect(imported, (*importers, path), table)
    table[path] = row


@lru_cache(maxsize=1024)
def _row(path: Path, _changed: int, source: str | None) -> tuple[str, tuple[Path, ...]]:
    """Return the row of a file in the table, and what it imports; rebuilt when the file has `_changed`."""
    text = INDENT.sub(
        "", REMARK.sub("", COMMENT.sub("", path.read_text(encoding="utf-8") if source is None else source))
    )
    imports = tuple(_resolve(match[3], path) for match in SPECIFIER.finditer(text))
    linked = SPECIFIER.sub(lambda found: _placeholder(found, path), text)
    return f"[{_quoted(_name(path))}, {_quoted(linked)}]", imports


def _resolve(specifier: str, importer: Path) -> Path:
    if specifier.startswith("."):
        return Path(posixpath.normpath(f"{importer.parent.as_posix()}/{specifier}"))
    if specifier.startswith("studium_widgets/"):
        return PACKAGE / specifier.removeprefix("studium_widgets/")
    wanted = "an import needs a relative path or one that starts with studium_widgets/"
    raise ModuleLinkError(f"{wanted}, got {specifier!r} in {importer.name}: keep a copy beside it and import that")


def _name(path: Path) -> str:
    """Return the last folder and the file: enough for a stack trace, without this machine's paths in a notebook."""
    inside = path.relative_to(PACKAGE) if path.is_relative_to(PACKAGE) else Path(path.parent.name, path.name)
    return inside.as_posix()


def _placeholder(found: re.Match[str], importer: Path) -> str:
    return f'{found[1]}"studium:{_name(_resolve(found[3], importer))}"'
