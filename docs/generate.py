"""Write the pages made from the code: commands, hooks, the widgets' controls, scores. Run it with ``make docs``.

A command's page comes from the same signature and docstring as its ``--help``. It is laid out here and not by typer,
whose layout changes from release to release.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

import typer
from studium.catalogue.catalogue import Catalogue
from studium.catalogue.plugins import load_plugins
from studium.classroom import messages
from studium.cli.app import build_app
from studium.topics.notation import symbols
from studium_classroom import findings, status
from studium_classroom.web.base import Rule, rule_of
from studium_classroom.web.routes import ROUTES, VERBS

DOCS = Path(__file__).parent
SCORES = DOCS / "scores"
ROOT = DOCS.parent
SOURCES = ("course", "graders", "widgets", "plugins")
FOLDERS = ("commands", "controls", "hooks", "scores")
OWN = "studium"  # the distribution whose commands are described
WIDTH = 100
NOTE = "<!-- Written by docs/generate.py from the code: change the code, then run `make docs`. -->\n"
NOTATION = """\
In all lessons, each of these symbols has one meaning. If a paper uses a letter in another sense, its lesson often does
too, so you can compare the formulas. The lesson's table of symbols then says "here". You can also open the table below
in the side panel, under *Words*, *Symbols*.

If you write a lesson, `studium topic check` compares its table of symbols with this one. The list is
`course/studium/notation.toml`.
"""

_TYPES = {bool: "", int: "NUMBER", float: "NUMBER", Path: "PATH"}


def main() -> None:
    """Write all generated pages, and remove those for commands and hooks that no longer exist."""
    made = pages()
    for path in generated_files(DOCS):
        if path.relative_to(DOCS).as_posix() not in made:
            path.unlink()
    for name, text in made.items():
        path = DOCS / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    typer.echo(f"{len(made)} pages in {DOCS}")


def generated_files(docs: Path) -> list[Path]:
    """Return the files in the folders that contain only generated pages."""
    return sorted(path for folder in FOLDERS for path in (docs / folder).glob("*.md"))


def pages() -> dict[str, str]:
    """Return every generated page: its path below docs/, and its text."""
    commands = dict(commands_of(own_app()))
    hooks = hooks_of(ROOT / "course/studium/catalogue/hookspecs.py", users(ROOT))
    made = {f"commands/{words.replace(' ', '-')}.md": command_page(words, call) for words, call in commands.items()}
    made |= {f"hooks/{hook.name}.md": hook_page(hook) for hook in hooks}
    made["commands/index.md"] = commands_index(commands)
    made["hooks/index.md"] = hooks_index(hooks)
    made["controls/index.md"] = controls_page(ROOT)
    made["classroom-api.md"] = classroom_page()
    made["notation.md"] = notation_page()
    made["scores/index.md"] = scores_page(
        [json.loads(path.read_text("utf-8")) for path in sorted(SCORES.glob("*.json"))]
    )
    return {name: NOTE + "\n" + made[name] for name in sorted(made)}


# Notation


def notation_page() -> str:
    """Return the page with the symbols of all lessons."""
    rows = [f"| ${one.symbol}$ | {one.meaning} |" for one in symbols()]
    return "\n".join(["# Notation", "", NOTATION, "| symbol | meaning |", "|---|---|", *rows, ""])


# Commands


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
    return "\n".join([*lines, "", _BACK])


_BACK = "Back to the [start of the documentation](../index.md).\n"


# Hooks


@dataclass(frozen=True)
class Use:
    """A place in the sources: the file, and the function in it."""

    path: str
    function: str


@dataclass(frozen=True)
class Users:
    """Who calls a hook and who implements it, by the hook's name."""

    callers: dict[str, list[Use]]
    implementers: dict[str, list[Use]]


@dataclass(frozen=True)
class Hook:
    """One hook in hookspecs.py, and its users in this repository."""

    name: str
    signature: str
    text: str
    first_result: bool
    callers: list[Use]
    implementers: list[Use]


def hooks_of(path: Path, users: Users) -> list[Hook]:
    """Read the hooks from the source of hookspecs.py, in order."""
    return [
        Hook(
            node.name,
            f"def {node.name}({ast.unparse(node.args)}) -> {ast.unparse(node.returns) if node.returns else 'None'}",
            ast.get_docstring(node) or "",
            any("firstresult=True" in ast.unparse(item) for item in node.decorator_list),
            users.callers.get(node.name, []),
            users.implementers.get(node.name, []),
        )
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, ast.FunctionDef)
    ]


def users(root: Path) -> Users:
    """Search the sources for functions that call a hook, and for those that implement one."""
    found = Users({}, {})
    for folder in SOURCES:
        for path in sorted((root / folder).rglob("*.py")):
            if not path.name.startswith("test_"):
                _look(ast.parse(path.read_text("utf-8")), path.relative_to(root).as_posix(), found)
    return found


def _look(module: ast.Module, path: str, found: Users) -> None:
    for function in (node for node in ast.walk(module) if isinstance(node, ast.FunctionDef)):
        if any("hookimpl" in ast.unparse(item) for item in function.decorator_list):
            found.implementers.setdefault(function.name, []).append(Use(path, function.name))
        for name in dict.fromkeys(_called(function)):
            found.callers.setdefault(name, []).append(Use(path, function.name))


def _called(function: ast.FunctionDef) -> Iterator[str]:
    """Return the hooks that a function calls: ``….hook.studium_x(…)`` and ``subset_hook_caller("studium_x", …)``."""
    for node in ast.walk(function):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        if isinstance(node.func.value, ast.Attribute) and node.func.value.attr == "hook":
            yield node.func.attr
        elif node.func.attr == "subset_hook_caller" and isinstance(node.args[0], ast.Constant):
            yield str(node.args[0].value)


def hook_page(hook: Hook) -> str:
    """Write the page of one hook."""
    results = "The first result that is not None is used." if hook.first_result else "Every plugin's result is used."
    if hook.signature.endswith("-> None"):
        results = "Every plugin is called, and none returns anything."
    parts = [f"# `{hook.name}`", f"```python\n{hook.signature}\n```", hook.text, results]
    if not hook.callers:
        parts.append("**This hook is not called yet.**")
    parts += ["## Who calls it", _uses(hook.callers), "## Who implements it in this repository"]
    parts += [_uses(hook.implementers), "All hooks: [index](index.md)."]
    return "\n\n".join(parts) + "\n"


def _uses(uses: list[Use]) -> str:
    return "\n".join(f"- [{use.path}](../../{use.path}), `{use.function}`" for use in uses) or "None yet."


def hooks_index(hooks: list[Hook]) -> str:
    """List the hooks."""
    lines = [
        "# Hooks",
        "",
        "A plugin implements a hook as a function with the hook's name, decorated with `@studium.hookimpl`, in the",
    ]
    lines += [
        "module that its entry point (group `studium`) names. The function can leave out parameters that it does not "
        "need.",
        "",
    ]
    lines += ["| hook | for | implemented here by |", "|---|---|---|"]
    for hook in hooks:
        first = hook.text.split("\n\n")[0].replace("\n", " ")
        many = f"{len(hook.implementers)} plugin{'' if len(hook.implementers) == 1 else 's'}"
        count = many if hook.callers else "none; it is not called yet"
        lines.append(f"| [`{hook.name}`]({hook.name}.md) | {first} | {count} |")
    return "\n".join([*lines, "", _BACK])


# Controls

_IMPORTED = re.compile(r'import \{([^}]*)\} from "[^"]*\bcontrols/(\w+)\.js"')
_EXPORTED = re.compile(
    r"/\*\*(?P<text>(?:(?!\*/).)*)\*/\nexport (?:function (?P<call>.*?\)) \{(?=\n)|const (?P<name>\w+))", re.DOTALL
)


def controls_page(root: Path) -> str:
    """Describe what views are made of: everything Studium's own views import from controls/ that has a comment for
    readers.
    """
    folder = root / "widgets/studium_widgets/controls"
    views = [*(root / "widgets/studium_widgets").glob("*.js"), *(root / "plugins").rglob("*.js")]
    used: dict[str, set[str]] = {}
    for names, module in (found for path in views for found in _IMPORTED.findall(path.read_text("utf-8"))):
        used.setdefault(module, set()).update(re.findall(r"\w+", names))
    modules = sorted(used, key=lambda name: (name != "widget", name))
    text = """# Controls and pictures

You build the view of a widget from these parts. Any package can import them from `studium_widgets`; this page lists
those that Studium's own views use. A control, which is bound to a name in the state, returns an element that you pass
to `ui.controls(…)`. A picture returns an object with an `element`, which you pass to `ui.add(…)`, and a `draw(…)`,
which you call in each frame. There is a complete view at the top of
[base.py](../../widgets/studium_widgets/base.py), and `make gallery` shows all of these live.
"""
    return "\n".join([text, *(part for name in modules for part in _control(folder / f"{name}.js", used[name])), _BACK])


def _control(path: Path, used: set[str]) -> Iterator[str]:
    yield f"## {path.stem}\n"
    for found in _EXPORTED.finditer(path.read_text("utf-8")):
        call = found["call"] or ""
        if (name := call.partition("(")[0] or found["name"]) not in used:
            continue
        lines = [line.strip().removeprefix("*").removeprefix(" ") for line in found["text"].strip().splitlines()]
        lines = [line for line in lines if not line.startswith("@")]  # types, which are for tsc
        yield f'```js\nimport {{ {name} }} from "studium_widgets/controls/{path.name}";\n{call}'.rstrip() + "\n```\n"
        yield "\n".join(lines).strip() + "\n"


# The course server


def classroom_page() -> str:
    """List the addresses of the course server: who may use them, what to send and what comes back."""
    lines = [_CLASSROOM, "| who | request | what it does |", "|---|---|---|"]
    for path, handler in ROUTES.items():
        for verb in VERBS:
            if rule := rule_of(handler, verb):
                text = (inspect.getdoc(getattr(handler, verb)) or "").replace("\n", " ")
                lines.append(f"| {_asker(path, rule)} | `{verb.upper()} {path}` | {text} |")
    return "\n".join([*lines, "", "## Forms", "", *map(_form, _forms()), _BACK.replace("../", "")])


_CLASSROOM = """# The course server's interface

All addresses begin with `/api/`, or behind a JupyterHub with `/services/classroom/api/`. A client sends the header
`Authorization: token …`; cookies are ignored. Bodies and answers are JSON, except for archives (ZIP) and feedback pages
(HTML). A refusal is `{"message": "one sentence"}` with the status 400 (bad request), 401 (no token), 403 (not allowed),
404 (not found), 405 (method not supported), 413 (too large) or 429 (too often). The roles are student, ta, instructor
and owner, and each may do everything that the roles before it may. A TA with a section sees only that section.

Addresses marked *or a board* also accept `Authorization: board …`, the session of [a board](classroom.md#the-board),
which can read them for one course until it ends. `GET live` sends server-sent events (`text/event-stream`), each of
them a whole `Status`; a line that begins with a colon is a sign of life.
"""


def _asker(path: str, rule: Rule) -> str:
    if rule.role is None:
        return "anybody"
    role = rule.role.label if "{course}" in path else "any member"
    return f"{role}, or a board" if rule.board else role


def _forms() -> list[type]:
    staff = [status.Status, status.Row, findings.Standing, status.History, findings.Finding]
    return [item for item in vars(messages).values() if getattr(item, "__module__", "") == messages.__name__] + staff


def _form(form: type) -> str:
    fields = ", ".join(f"`{name}`" for name in form.__struct_fields__)  # type: ignore[attr-defined]
    text = " ".join((inspect.getdoc(form) or "").split()).replace("``", "`")
    return f"**{form.__name__}**: {fields}. {text}\n"


# Scores


def scores_page(scores: list[dict[str, Any]]) -> str:
    """Lay out the score cards of all topics that have been measured."""
    text = (
        "# Score cards\n\nThese are the figures that `studium topic check` and `studium reproduce` measured for "
        "Studium's own topics, on the day and at the profile shown with each. Times depend on the machine, and on what "
        "else was running on it. To measure again, run `python docs/measure_topics.py` on an idle machine.\n"
    )
    return "\n".join([text, *map(score_card, scores)])


def score_card(score: dict[str, Any]) -> str:
    """Lay out the score card of one topic."""
    failed = [name for name, passed in score["checks"].items() if not passed]
    mutants = score["mutants"]
    judged = [claim for claim in score["claims"] if claim["holds"] is not None]
    rows = {
        "checks": f"{len(score['checks']) - len(failed)} of {len(score['checks'])} pass"
        + (f"; {', '.join(failed)} fail" if failed else ""),
        "mutants": f"{mutants['killed']} of {mutants['total']} fail a test",
        "exercises": f"{score['exercises']}, with {score['misconceptions']} misconceptions by name",
        "lesson": f"{score['lesson_seconds']:g} s, at most {score['lesson_mb']:g} MB",
        "claims": f"{sum(claim['holds'] for claim in judged)} of {len(judged)} that can be judged hold, "
        f"of {len(score['claims'])} in all",
        "widgets": ", ".join(score["widgets"]) or "none",
        "languages": ", ".join(score["languages"]),
        "measured": f"{score['day']} at {score['profile']}, {score['machine']}",
    }
    lines = [
        f"## {score['title']}",
        "",
        "| | |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in rows.items()),
    ]
    claims = [
        f"| {text} | {figure(c['measured'])} | {figure(c['threshold'])} | {said(c['holds'])} |"
        for c in score["claims"]
        if (text := c["claim"].replace("|", "&#124;"))
    ]
    return "\n".join([*lines, "", "| claim | measured | bound | |", "|---|---|---|---|", *claims, ""])


def figure(value: float | None) -> str:
    """Format a figure; one that could not be measured at this size, NaN, is null in JSON."""
    return "–" if value is None else f"{value:.4g}"


def said(holds: bool | None) -> str:
    """Return whether a claim holds, in words."""
    return {True: "holds", False: "does not hold", None: "too small to judge"}[holds]


if __name__ == "__main__":
    main()
