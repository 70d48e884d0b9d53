"""The pages of hooks, read from the sources."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from generators.layout import BACK

SOURCES = ("course", "graders", "widgets", "plugins")


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
    return "\n".join([*lines, "", BACK])
