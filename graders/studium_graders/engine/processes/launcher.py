"""Where processes of one role come from: warm (``zygote``) or cold (``cold_start``)."""

import socket
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Protocol, Self

from studium_graders.engine.processes.process_tree import Usage


class Process(Protocol):
    """A process of an attempt, however it was started."""

    @property
    def pid(self) -> int:
        """Its id."""

    def kill(self) -> None:
        """End it."""

    def usage(self, memory_limit_mb: float) -> Usage:
        """Measure it and all that it started."""

    def ended(self, seconds: float) -> bool:
        """Wait some seconds; tell whether it is gone."""

    def wait(self) -> int | None:
        """Return its wait status when all that it started is gone too; None where nobody knows."""


class Launcher(ABC):
    """A context manager that has processes of a role ready. ``setup`` is what the role's ``prepare`` is given."""

    def __init__(self, role: str, setup: bytes = b"") -> None:
        self.role = role
        self.setup = setup

    @abstractmethod
    def start(self) -> None:
        """Begin to make processes ready."""

    @abstractmethod
    def launch(self, sockets: list[socket.socket]) -> Process:
        """Return a process that gets these sockets. Raise ZygoteError where there is none to be had."""

    @abstractmethod
    def close(self) -> None:
        """End them."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
