"""Nothing is downloaded: any attempt to reach another machine is stopped and noted."""

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
    """While entered, refuses to reach other machines from this process; ``attempts`` holds what was tried."""

    def __init__(self) -> None:
        self.attempts: list[str] = []
        self._on = self._hooked = False

    def __enter__(self) -> Self:
        if not self._hooked:  # Python cannot remove an audit hook
            sys.addaudithook(self._hear)
        self._on = self._hooked = True
        return self

    def __exit__(self, *error: object) -> None:
        self._on = False

    def take(self) -> list[str]:
        """Return the attempts so far, without repeats, and forget them."""
        found, self.attempts = list(dict.fromkeys(self.attempts)), []
        return found

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._on and (target := _target(event, arguments)):
            self.attempts.append(target)
            raise OSError(errno.ENETUNREACH, f"a lesson must work offline, but this tries to reach {target}")


BLOCKADE = Blockade()  # one for the whole process, since its hook stays


def _target(event: str, arguments: tuple[Any, ...]) -> str:
    """Return which other machine an event would reach, or ""."""
    if event in _NAMES:
        return _elsewhere(arguments[0])
    if event in _CONNECTIONS:
        address = arguments[1]
        return _elsewhere(address[0]) if isinstance(address, tuple) else ""  # anything else is a socket that is a file
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
    """Check that the lesson, the exercises and their tests try to reach no other machine."""
    return Finding(list(_online(subject)), "nothing tried to reach another machine")


def _online(subject: Subject) -> Iterator[str]:
    say: Callable[[str, str], str] = (
        "nothing may be downloaded at run time, because classrooms are offline: {} tries to reach {}; generate the "
        "data, or take it from an installed package"
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
