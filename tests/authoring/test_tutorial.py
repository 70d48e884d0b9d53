"""The tutorial for authors does what it says: from an empty folder to a wheel in a fresh environment."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.examples.conftest import OFFLINE, Environment

PAGE = Path(__file__).parents[2] / "docs" / "tutorial-write-a-topic.md"
_BLOCK = re.compile(
    r"(?P<before>[^`]*(?:`[^`\n]+`[^`]*)*)^```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)


class Reader:
    """Somebody who does what the page says: runs its commands, writes and replaces its code."""

    def __init__(self, environment: Environment, folder: Path) -> None:
        self.environment, self.folder = environment, folder
        self.file, self.old = Path(), ""

    def follow(self, page: str) -> None:
        for block in _BLOCK.finditer(page):
            if named := re.findall(r"`(studium_topic_\w+/[\w/]+\.py)`", block["before"]):
                self.file = self.folder / named[-1]
            if block["kind"] == "console":
                for command, shown in commands_of(block["text"]):
                    self.run(command, shown)
            elif block["kind"] == "python":
                self.write(block["text"], block["before"].strip().splitlines()[-1])

    def write(self, code: str, said: str) -> None:
        text = self.file.read_text("utf-8") if self.file.exists() else ""
        if said.endswith("replace"):
            assert text.count(code) == 1, code
            self.old = code
        elif said == "by":
            self.file.write_text(text.replace(self.old, code), "utf-8")
        else:
            self.file.write_text(f"{text.rstrip()}\n\n\n{code}".lstrip(), "utf-8")

    def run(self, command: str, shown: list[str]) -> None:
        words = shlex.split(command)
        if words[0] == "cd":
            self.folder = self.folder / words[1]
            return
        own = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHONPATH", "PYTEST_"))} | OFFLINE
        done = subprocess.run(
            [str(self.environment.python), "-m", *words],
            cwd=self.folder, env=own | {"COLUMNS": "200"}, capture_output=True, text=True, check=False, timeout=600,
        )  # fmt: skip
        said = done.stdout + done.stderr
        assert done.returncode == int(any(line.startswith("✗") for line in shown)), f"{command}\n{said}"
        assert [line for line in shown if not re.search(as_pattern(line), said)] == [], f"{command}\n{said}"


def as_pattern(line: str) -> str:
    """What finds a shown line in what a command printed: “…” stands for a word that may change."""
    return r"\S+".join(map(re.escape, line.split("…")))


def commands_of(block: str) -> Iterator[tuple[str, list[str]]]:
    """Each command of a block, and the lines that it is said to print."""
    for part in block.split("$ ")[1:]:
        command, *shown = part.splitlines()
        yield command, [line for line in shown if line.strip()]


@pytest.mark.heavy
@pytest.mark.browser
def test_the_tutorial_leads_from_an_empty_folder_to_a_topic_that_is_installed(tmp_path: Path) -> None:
    environment = Environment(tmp_path / "environment")
    (tmp_path / "empty").mkdir()
    Reader(environment, tmp_path / "empty").follow(PAGE.read_text("utf-8"))


def test_a_reader_notices_output_that_does_not_come(tmp_path: Path) -> None:
    environment = Environment(tmp_path / "environment")
    page = 'Look:\n\n```console\n$ timeit -n 1 -r 1 "1 + 1"\n{}\n```\n'
    Reader(environment, tmp_path).follow(page.format("1 loop"))
    with pytest.raises(AssertionError, match="timeit"):
        Reader(environment, tmp_path).follow(page.format("no such words"))


def test_an_ellipsis_stands_for_one_word() -> None:
    assert re.search(as_pattern("all … checks pass"), "echo: all 34 checks pass")
    assert not re.search(as_pattern("all … checks pass"), "echo: all checks pass")


def test_what_is_shown_belongs_to_its_command() -> None:
    assert list(commands_of("$ a b\nx\n\ny\n$ c\n")) == [("a b", ["x", "y"]), ("c", [])]
