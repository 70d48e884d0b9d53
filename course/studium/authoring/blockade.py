"""Stops any attempt of this process to reach another machine, and notes it."""

import errno
import re
import sys
from typing import Any, Self

_HERE = re.compile(r"(localhost|127\.|0\.0\.0\.0$|::1?$|$)")
FETCHES = re.compile(r"https?://|\b(?:pip3?|conda|uv) install\b|\bgit clone\b|\b(?:curl|wget) ")
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
        return command[:100] if FETCHES.search(command) else ""
    return ""


def _elsewhere(host: Any) -> str:
    name = _text(host)
    return "" if _HERE.match(name) else name


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return " ".join(map(_text, value))
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value or "")
