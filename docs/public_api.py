"""Describe what others build on: names, hooks, widgets and commands, one a line. Run it with ``make api``.

Types and docstrings are left out: they say more with time, and no caller breaks.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import studium
import studium_widgets
import typer
from studium.catalogue import hookspecs

FILE = Path(__file__).with_name("public-api.txt")
PLAIN = (bool, int, float, str, type(None), tuple)
OURS = ("studium", "studium_widgets")


def description(app: typer.Typer) -> list[str]:
    """Return the lines for everything public; ``app`` is the command line with our own plugins."""
    names = [line for module in (studium, studium_widgets) for line in names_of(module)]
    commands = commands_of("studium", typer.main.get_command(app))
    return [*names, *sorted(hooks()), *sorted(commands)]


def names_of(module: Any) -> Iterator[str]:
    """Yield a line for each exported name, and one for each public member of a class and each trait of a widget."""
    for name in sorted(module.__all__):
        found = getattr(module, name)
        yield f"{module.__name__}.{name}{_signature(found)}"
        if inspect.isclass(found):
            yield from (f"{module.__name__}.{name}.{member}" for member in sorted(_members(found)))


def _members(cls: type) -> Iterator[str]:
    own = {name for base in cls.__mro__ if base.__module__.split(".")[0] in OURS for name in vars(base)}
    inherited = set() if cls is studium_widgets.Widget else set(vars(studium_widgets.Widget))
    traits = getattr(cls, "class_traits", dict)()
    for name in {name for name in own - inherited if not name.startswith("_")}:
        if name not in traits:
            member = inspect.getattr_static(cls, name)
            yield f"{name}{_signature(getattr(member, '__func__', member))}"
        elif traits[name].metadata.get("sync"):
            values = getattr(traits[name], "values", None)
            yield f"{name}: trait {type(traits[name]).__name__}{f' of {list(values)}' if values else ''}"


def _signature(found: Any) -> str:
    if not callable(found) or getattr(found, "__module__", "").split(".")[0] not in OURS:
        return ""
    try:
        parameters = list(inspect.signature(found).parameters.values())
    except (TypeError, ValueError):
        return ""
    shown = [_parameter(parameter) for parameter in parameters]
    keyword_only = [n for n, parameter in enumerate(parameters) if parameter.kind == parameter.KEYWORD_ONLY]
    if keyword_only and not any(parameter.kind == parameter.VAR_POSITIONAL for parameter in parameters):
        shown.insert(keyword_only[0], "*")
    return f"({', '.join(shown)})"


def _parameter(parameter: inspect.Parameter) -> str:
    star = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
    if parameter.default is parameter.empty:
        return star + parameter.name
    return f"{parameter.name}={parameter.default!r}" if isinstance(parameter.default, PLAIN) else f"{parameter.name}=…"


def hooks() -> Iterator[str]:
    """Yield a line for each hook, with whether the first result that is not None ends the call."""
    for name, function in vars(hookspecs).items():
        if options := getattr(function, "studium_spec", None):
            first = ", first result" if options["firstresult"] else ""
            yield f"hook {name}({', '.join(inspect.signature(function).parameters)}){first}"


def commands_of(name: str, command: Any) -> Iterator[str]:
    """Yield a line for each command, with its arguments and options."""
    for word, inner in getattr(command, "commands", {}).items():
        yield from commands_of(f"{name} {word}", inner)
    words = [
        "/".join([*one.opts, *one.secondary_opts]) if one.param_type_name == "option" else one.name.upper()
        for one in command.params
        if "completion" not in str(one.name)  # typer's own
    ]
    yield f"command {name} {' '.join(words)}".rstrip()


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    from generate import own_app  # type: ignore[import-not-found]  # a script beside this one

    FILE.write_text("\n".join(description(own_app())) + "\n", "utf-8")
