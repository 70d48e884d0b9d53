"""Write the pages made from the code: commands, hooks, the widgets' controls, scores. Run it with ``make docs``."""

from __future__ import annotations

import json
from pathlib import Path

import typer
from generators.classroom import classroom_page
from generators.commands import command_page, commands_index, commands_of, own_app
from generators.controls import controls_page
from generators.hooks import hook_page, hooks_index, hooks_of, users
from generators.scores import scores_page
from studium.topics.notation import symbols

DOCS = Path(__file__).parent
SCORES = DOCS / "scores"
ROOT = DOCS.parent
FOLDERS = ("commands", "controls", "hooks", "scores")
NOTE = "<!-- Written by docs/generate.py from the code: change the code, then run `make docs`. -->\n"
NOTATION = """\
In all lessons, each of these symbols has one meaning. If a paper uses a letter in another sense, its lesson often does
too, so you can compare the formulas. The lesson's table of symbols then says "here". You can also open the table below
in the side panel, under *Words*, *Symbols*.

If you write a lesson, `studium topic check` compares its table of symbols with this one. The list is
`course/studium/notation.toml`.
"""


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


def notation_page() -> str:
    """Return the page with the symbols of all lessons."""
    rows = [f"| ${one.symbol}$ | {one.meaning} |" for one in symbols()]
    return "\n".join(["# Notation", "", NOTATION, "| symbol | meaning |", "|---|---|", *rows, ""])


if __name__ == "__main__":
    main()
