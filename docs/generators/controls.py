"""The page of the controls and pictures that views of widgets are made of, from their comments in JavaScript."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from generators.layout import BACK

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
    return "\n".join([text, *(part for name in modules for part in _control(folder / f"{name}.js", used[name])), BACK])


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
