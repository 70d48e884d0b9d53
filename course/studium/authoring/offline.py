"""Nothing is downloaded: whoever tries to reach another machine is stopped, and the attempt is noted."""

import errno
import re
import sys
from collections.abc import Callable, Iterator
from typing import Any, Self

from studium.authoring.findings import Finding
from studium.authoring.subject import Subject

_HERE = re.compile(r"(localhost|127\.|0\.0\.0\.0$|::1?$|$)")
_FETCHES = re.compile(r"https?://|\b(?:pip3?|conda|uv) install\b|\bgit clone\b|\b(?:curl|wget) ")
_MAGIC = re.compile(r"^[ \t]*[!%]+.*", re.MULTILINE)
_COMMANDS = ("os.system", "subprocess.Popen", "os.posix_spawn", "os.exec")
_NAMES = ("socket.getaddrinfo", "socket.gethostbyname")
_CONNECTIONS = ("socket.connect", "socket.sendto")


class Blockade:
    """While it is entered, refuses in this process what leads to other machines; ``attempts`` holds what was tried."""

    def __init__(self) -> None:
        self.attempts: list[str] = []
        self._on = self._hooked = False

    def __enter__(self) -> Self:
        if not self._hooked:  # Python has no way to take an audit hook back
            sys.addaudithook(self._hear)
        self._on = self._hooked = True
        return self

    def __exit__(self, *error: object) -> None:
        self._on = False

    def take(self) -> list[str]:
        """Return the attempts so far, each once, and forget them."""
        found, self.attempts = list(dict.fromkeys(self.attempts)), []
        return found

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._on and (target := _target(event, arguments)):
            self.attempts.append(target)
            raise OSError(errno.ENETUNREACH, f"a lesson must work offline, and this wants {target}")


BLOCKADE = Blockade()  # one for the process, as its hook stays


def _target(event: str, arguments: tuple[Any, ...]) -> str:
    """Say which other machine an event would reach, or ""."""
    if event in _NAMES:
        return _elsewhere(arguments[0])
    if event in _CONNECTIONS:
        address = arguments[1]
        return _elsewhere(address[0]) if isinstance(address, tuple) else ""  # else a socket that is a file
    if event in _COMMANDS:
        command = " ".join(map(_text, arguments[1] if isinstance(arguments[1:2], list) else arguments[:2]))
        return command[:100] if _FETCHES.search(command) else ""
    return ""


def _elsewhere(host: Any) -> str:
    name = _text(host)
    return "" if _HERE.match(name) else name


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return " ".join(map(_text, value))
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value or "")


def offline(subject: Subject) -> Finding:
    """See that the lesson, the exercises and their tests want nothing from another machine."""
    return Finding(list(_online(subject)), "nothing was wanted from another machine")


def _online(subject: Subject) -> Iterator[str]:
    say: Callable[[str, str], str] = (
        "nothing may be downloaded at run time, for classrooms are offline: {} wants {}; make the data, or take them "
        "from an installed package"
    ).format
    for target in subject.attempts:
        yield say("an exercise or a module that it imports", target)
    for event in subject.lesson_run.events:
        for target in event.wanted:
            yield say(f"{subject.place(event.cell)}, in the {event.edition},", target)
    for cell in subject.lesson.cells:
        for line in _MAGIC.findall(cell.source) if cell.cell_type == "code" else ():
            if _FETCHES.search(line):
                yield say(subject.place(str(cell.id)), line.strip())
