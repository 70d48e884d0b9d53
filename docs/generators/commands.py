"""The pages of commands, from the same signature and docstring as their ``--help``.

They are laid out here and not by typer, whose layout changes from release to release.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

import typer
from generators.layout import BACK
from studium.catalogue.catalogue import Catalogue
from studium.catalogue.plugins import load_plugins
from studium.cli.app import build_app

ROOT = Path(__file__).parents[2]
OWN = "studium"  # the distribution whose commands are described
WIDTH = 100

_TYPES = {bool: "", int: "NUMBER", float: "NUMBER", Path: "PATH"}


def own_app() -> typer.Typer:
    """Build the command line with Studium's own commands, whatever else is installed."""
    plugins = load_plugins()
    for loaded in plugins.loaded:
        if loaded.distribution != OWN:
            plugins.manager.unregister(loaded.plugin)
    return build_app(Catalogue((), (), plugins.manager))


def commands_of(app: typer.Typer, before: str = "") -> Iterator[tuple[str, Callable[..., Any]]]:
    """Return the words and the function of each command, with the groups after the others.

    A group that can be called by itself is a command, too.
    """
    for command in app.registered_commands:
        assert command.callback is not None
        yield f"{before}{command.name or command.callback.__name__.replace('_', '-')}", command.callback
    for group in app.registered_groups:
        assert group.typer_instance is not None
        alone = group.typer_instance.registered_callback
        if alone and alone.invoke_without_command and alone.callback:
            yield f"{before}{group.name}", alone.callback
        yield from commands_of(group.typer_instance, f"{before}{group.name} ")


@dataclass(frozen=True)
class Parameter:
    """An argument or option of a command, as its help shows it."""

    spelling: str
    text: str
    is_option: bool
    is_required: bool


def parameters(command: Callable[..., Any]) -> list[Parameter]:
    """Read a command's arguments and options from its signature."""
    hints = get_type_hints(command, include_extras=True)
    found = []
    for name, parameter in inspect.signature(command).parameters.items():
        kind, *extras = get_args(hints[name]) or (hints[name],)
        found += [_parameter(name, kind, info, parameter.default) for info in extras]
    return found


def _parameter(name: str, kind: Any, info: Any, default: Any) -> Parameter:
    base, many = _plain(kind)
    limits = (
        [f"{info.min} or more" if info.max is None else f"{info.min} to {info.max}"] if info.min is not None else []
    )
    shown = [] if default in (inspect.Parameter.empty, None, False) else [f"default: {default}"]
    text = (info.help or "") + (f" [{'; '.join(limits + shown)}]" if limits + shown else "")
    if isinstance(info, typer.models.ArgumentInfo):
        required = default is inspect.Parameter.empty
        spelling = f"{name.upper()}{' …' if many else ''}"
        return Parameter(spelling, text, False, required)
    spellings = [item for item in (info.default, *(info.param_decls or ())) if isinstance(item, str)]
    option = ", ".join(spellings) or f"--{name.replace('_', '-')}"
    return Parameter(f"{option} {_TYPES.get(base, 'TEXT')}".strip(), text, True, False)


def _plain(kind: Any) -> tuple[Any, bool]:
    """Strip "or None" and "list of" from a type: list[str] | None → (str, True)."""
    choices = [item for item in get_args(kind) if item is not type(None)]
    if not choices:
        return kind, False
    if getattr(kind, "__origin__", None) is list:
        return choices[0], True
    return _plain(choices[0])


def command_page(words: str, command: Callable[..., Any]) -> str:
    """Write the page of one command."""
    found = parameters(command)
    arguments = [item for item in found if not item.is_option]
    options = [item for item in found if item.is_option]
    options.append(Parameter("-h, --help", "Show the help and exit.", True, False))
    named = " ".join(item.spelling if item.is_required else f"[{item.spelling}]" for item in arguments)
    blocks = [f"usage: studium {words} {named}".rstrip() + " [OPTIONS]", *_paragraphs(inspect.getdoc(command) or "")]
    blocks += [_table(title, items) for title, items in (("arguments", arguments), ("options", options)) if items]
    home = Path(inspect.getsourcefile(command) or "").relative_to(ROOT).as_posix()
    body = "\n\n".join(blocks)
    return f"# `studium {words}`\n\n```text\n{body}\n```\n\nSource: [{home}](../../{home}). {_ALL_COMMANDS}\n"


_ALL_COMMANDS = "All commands: [index](index.md)."


def _paragraphs(text: str) -> list[str]:
    return [textwrap.fill(part, WIDTH) for part in text.split("\n\n")]


def _table(title: str, items: list[Parameter]) -> str:
    column = max(len(item.spelling) for item in items) + 4
    lines = [f"{title}:"]
    for item in items:
        first = f"  {item.spelling}".ljust(column)
        lines.append(textwrap.fill(item.text, WIDTH, initial_indent=first, subsequent_indent=" " * column))
    return "\n".join(lines)


def commands_index(commands: dict[str, Callable[..., Any]]) -> str:
    """List the commands."""
    lines = [
        "# Commands",
        "",
        "Exit codes: 0 success, 1 a problem (one sentence on standard error), 2 a usage error.",
        "",
    ]
    lines += ["| command | what it does |", "|---|---|"]
    for words, command in commands.items():
        first = (inspect.getdoc(command) or "").split("\n\n")[0].replace("\n", " ")
        lines.append(f"| [`studium {words}`]({words.replace(' ', '-')}.md) | {first} |")
    return "\n".join([*lines, "", BACK])
