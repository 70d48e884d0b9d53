"""What is checked of a page: that it is current, that its links lead somewhere, that its commands exist."""

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import typer

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_COMMAND = re.compile(r"^\$ (?:\w+=\S+ )*(?:\S*/)?studium(?= |$)(.*)$", re.MULTILINE)
_SYMPTOMS = re.compile(r"^\| what you see \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", re.MULTILINE)
_MAKE = re.compile(r"(?:^\$ |`)make ([a-z-]+)", re.MULTILINE)


def stale_pages(docs: Path, made: Mapping[str, str]) -> list[str]:
    """Name the generated pages that are missing, differ from what would be written now, or should be gone."""
    folders = {name.split("/")[0] for name in made if "/" in name}
    found = {path.relative_to(docs).as_posix() for folder in folders for path in (docs / folder).glob("*.md")}
    found |= {name for name in made if "/" not in name and (docs / name).is_file()}
    differ = [name for name in made if name in found and (docs / name).read_text("utf-8") != made[name]]
    return sorted([*differ, *(found ^ made.keys())])


def broken_links(path: Path) -> list[str]:
    """Name the links of a page to files and headings that are not there. Links to the web are not followed."""
    bad = []
    for target in _LINK.findall(_INLINE.sub("", _FENCE.sub("", path.read_text("utf-8")))):
        if re.match(r"https?://", target):
            continue
        file, _, heading = target.partition("#")
        home = (path.parent / file) if file else path
        if not home.exists() or (heading and heading not in _headings(home.read_text("utf-8"))):
            bad.append(target)
    return bad


def _headings(text: str) -> set[str]:
    """Return the anchors that GitHub makes of a page's headings."""
    found = re.findall(r"^#+ (.+)$", _FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}


def wrong_commands(text: str, app: typer.Typer) -> list[str]:
    """Name the ``$ studium …`` lines that do not parse, and the ``studium …`` in backticks that do not exist."""
    root = typer.main.get_command(app)
    lines = (found for language, block in _FENCE.findall(text) if language == "console" for found in _lines(block))
    bad = [f"{line}: {why}" for line in lines if (why := _why_not(root, shlex.split(line, comments=True)))]
    mentions = (item for item in _INLINE.findall(_FENCE.sub("", text)) if re.match(r"studium [a-z]", item))
    return bad + [
        f"studium {item}" for item in (m.removeprefix("studium ") for m in mentions) if not _known(root, item)
    ]


def _lines(block: str) -> Iterator[str]:
    yield from (match.strip() for match in _COMMAND.findall(block.replace("\\\n", " ")))


def _why_not(root: Any, words: list[str]) -> str:
    command, rest = _descend(root, words)
    if hasattr(command, "commands") and not (rest and rest[0].startswith("-")):
        return f"no command {' '.join(rest[:1])!r}"
    try:
        command.make_context("studium", list(rest), help_option_names=["-h", "--help"])
    except typer.Exit:  # of --help and --version
        return ""
    except Exception as error:  # the class that reports a usage error has moved between releases of typer
        return error.format_message() if hasattr(error, "format_message") else str(error)
    return ""


def _known(root: Any, item: str) -> bool:
    command, rest = _descend(root, item.split())
    options = {option for parameter in command.params for option in parameter.opts} | {"-h", "--help"}
    wrong = [word for word in rest if word.startswith("-") and word not in options]
    inner = hasattr(command, "commands") and rest
    return not wrong and (not inner or (command.invoke_without_command and rest[0].startswith("-")))


def _descend(command: Any, words: list[str]) -> tuple[Any, list[str]]:
    """Follow the words that name groups and commands; give the command and what is left of the words."""
    while words and words[0] in getattr(command, "commands", {}):
        command, words = command.commands[words[0]], words[1:]
    return command, words


def invented_snippets(text: str, sources: Mapping[str, str]) -> list[str]:
    """Return the first line of each ```python and ```toml block that stands in none of the sources, word for word."""
    blocks = [block for language, block in _FENCE.findall(text) if language in ("python", "toml")]
    return [block.splitlines()[0] for block in blocks if not any(block in source for source in sources.values())]


def unsaid_messages(text: str, sources: Iterable[str]) -> list[str]:
    """Name the messages in a page's tables of what you see that no source can say; … stands for what varies.

    A message counts as said where all its fixed parts stand in one source, with its string literals put together.
    """
    said = [re.sub(r"""["']\s*\n\s*f?["']""", "", source) for source in sources]
    rows = [row.split("|")[1] for table in _SYMPTOMS.findall(text) for row in table.splitlines()]
    messages = [message for row in rows for message in _INLINE.findall(row) if " " in message]
    return [message for message in messages if not any(_says(source, message) for source in said)]


def _says(source: str, message: str) -> bool:
    parts = (part.strip(" ():") for part in message.split("…"))
    return all(part in source for part in parts)


def unknown_targets(text: str, makefile: str) -> list[str]:
    """Name the targets in ``make …`` that the Makefile lacks."""
    known = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    return [target for target in _MAKE.findall(text) if target not in known]
