"""Turn msgspec's errors about a file into one sentence for the person who wrote the file."""

import re
from collections.abc import Mapping

import msgspec
from studium.errors import continued, suggestion

_TYPES = {
    "str": "text in quotes",
    "array": "a list in [ ]",
    "object": "a table",
    "bool": "true or false",
    "float": "a number",
    "int": "a whole number",
    "datetime": "a date with a time, such as 2026-10-30T23:59:00",
    "date": "a date alone",
    "time": "a time alone",
}
_UNKNOWN = re.compile(r"Object contains unknown field `(.+)`")
_MISSING = re.compile(r"Object missing required field `(.+)`")
_EXPECTED = re.compile(r"Expected `(.+?)`(?: (\S+ \S+?))?(?:, got `(.+)`)?")
_CHOICE = re.compile(r"Invalid enum value (.+)")


def convert_message(text: str, root: type[msgspec.Struct], tables: Mapping[str, type[msgspec.Struct]]) -> str:
    """Complete the sentence "course.toml …" from an error of ``msgspec.convert`` to the struct ``root``.

    ``tables`` gives the struct of each table in it, for "did you mean".
    """
    what, _, where = text.partition(" - at ")
    path = where.strip("`").removeprefix("$").removeprefix(".")
    struct = next((tables[name] for name in reversed(re.findall(r"\w+", path)) if name in tables), root)
    place = _place(path)
    if found := _UNKNOWN.fullmatch(what):
        return f"has the unknown key {found[1]!r}{place and f' in {place}'}; {_nearest(found[1], struct)}"
    if found := _MISSING.fullmatch(what):
        return f"needs the key {found[1]!r}{place and f' in {place}'}; add it"
    if found := _CHOICE.fullmatch(what):
        return f"has the unknown value {found[1]} for {place}; {_nearest_choice(found[1].strip(chr(39)), path, struct)}"
    if found := _EXPECTED.fullmatch(what):
        needed = " or ".join(_TYPES.get(name, name) for name in found[1].split(" | ") if name != "null")
        limit = f" {found[2].removesuffix('.0')}" if found[2] else ""
        got = f": got {_TYPES.get(found[3], found[3])}" if found[3] else ""
        return f"needs {needed}{limit} for {place or 'the file'}{got}; {_advice(found[1], found[3], place)}"
    if "RFC3339" in what:
        kind = _TYPES["date" if what.endswith(" date") else "datetime"]
        return f"needs {kind} for {place}: got text in quotes; write a date without them"
    return f"cannot be used: {continued(what)}{place and f' for {place}'}; change it"


def _advice(needed: str, got: str | None, place: str) -> str:
    """Suggest what to write if brackets or quotes that TOML needs are missing."""
    if (needed, got) == ("array", "object"):
        return f"write [[{place}]] in two brackets"
    if (needed, got) == ("float", "object"):
        return 'write a name with a dot in quotes, such as { "lora.merge" = 5 }'
    return "change it"


def _nearest(key: str, struct: type[msgspec.Struct]) -> str:
    return suggestion(key, struct.__struct_fields__)


def _nearest_choice(value: str, path: str, struct: type[msgspec.Struct]) -> str:
    name = path.rpartition(".")[2]
    kind = next(field.type for field in msgspec.inspect.type_info(struct).fields if field.name == name)  # type: ignore[attr-defined]
    return suggestion(value, kind.values)


def _place(path: str) -> str:
    """Return "due of assignment 2" for ``assignments[1].due``."""
    numbered = re.sub(r"(\w+?)s?\[(\d+)\]", lambda found: f"{found[1]} {int(found[2]) + 1}", path.replace("[...]", ""))
    return " of ".join(reversed(numbered.split("."))) if numbered else ""
