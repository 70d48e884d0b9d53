"""The commands of a page, one after the other, with the output that the page shows."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_VARIES = ((r"\d+\.\d\d s\b", "0.00 s"), (r"sandbox L\d", "sandbox L2"), (r"  [0-9a-f]{7}\b", "  0123456"))


@dataclass(frozen=True)
class Shown:
    """A command that a page shows, and the lines of output below it."""

    command: str
    output: str


def shown_commands(text: str) -> Iterator[Shown]:
    """Return the commands of a page's console blocks in order; a line that ends in a backslash goes on."""
    for block in _BLOCK.findall(text):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.replace("\\\n", " ").partition("\n")
            yield Shown(command, output)


def same(shown: str, real: str) -> bool:
    """Return whether output is the same but for times, the sandbox's level, digests and blanks at the ends of lines."""
    return _plain(shown) == _plain(real)


def with_outputs(text: str, outputs: Iterable[str | None]) -> str:
    """Return the page with other outputs: one for each command in order, None where it stays."""
    new = iter(outputs)

    def block(found: re.Match[str]) -> str:
        shown = [replace(one, output=_or(next(new), one.output)) for one in shown_commands(found[0])]
        return "```console\n" + "".join(f"$ {one.command}\n{one.output}" for one in shown) + "```"

    return _BLOCK.sub(block, text)


def _or(new: str | None, old: str) -> str:
    return old if new is None or same(old, new) else "".join(f"{line.rstrip()}\n" for line in new.splitlines())


def _plain(output: str) -> str:
    for pattern, fixed in _VARIES:
        output = re.sub(pattern, fixed, output)
    return "\n".join(re.sub(r" {2,}", "  ", line.rstrip()) for line in output.splitlines())


def page(name: str) -> Path:
    """Return the file of a page of the documentation."""
    return Path(__file__).parents[3] / "docs" / name
