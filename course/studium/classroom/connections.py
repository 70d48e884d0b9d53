"""The course servers somebody has joined, with the tokens: from a file that only they can read, or from a hub."""

import os
import secrets
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from studium.classroom.client import Client
from studium.desk.operator_defaults import read_defaults
from studium.desk.places import data_folder
from studium.errors import StudiumError, UsageError

VARIABLE = "STUDIUM_CLASSROOM"  # the address of a hub's course server, unless the operator's defaults give it
_HUB_TOKEN = "JUPYTERHUB_API_TOKEN"  # noqa: S105 - the name of a variable
_FILE = "classroom.json"


class Connection(msgspec.Struct, frozen=True):
    """A server and a token for it; a ``course`` of "" means every course that the token's owner belongs to."""

    url: str
    token: str
    course: str = ""

    def client(self) -> Client:
        """Return a client with the token."""
        return Client(self.url, self.token)


def connections() -> list[Connection]:
    """Return the hub's server, if there is one, and those that were joined."""
    token = os.environ.get(_HUB_TOKEN, "")
    url = os.environ.get(VARIABLE, "") or (read_defaults().classroom if token else "")
    return [*([Connection(url, token)] if url and token else []), *_read()]


def connection_of(course: str) -> Connection:
    """Return the connection to a course, of several the last one joined. Raise UsageError if there is none."""
    found = connections()
    joined = [one for one in reversed(found) if one.course == course] or [one for one in found if not one.course]
    if not joined:
        raise UsageError(f"you have not joined the course {course!r}: pass your invitation link to --join")
    return joined[0]


def join(link: str) -> Connection:
    """Join a course by an invitation link and keep the token. Raise StudiumError if the link does not work."""
    parts = urlsplit(link)
    if parts.scheme not in ("http", "https") or not parts.hostname or not parts.fragment:
        raise UsageError("an invitation is a link such as https://classroom.example.org/join#…: copy all of it")
    url = f"{parts.scheme}://{parts.netloc}{parts.path.removesuffix('/').removesuffix('join')}".rstrip("/")
    with Client(url) as client:
        joined = client.join(parts.fragment)
    made = Connection(url, joined.token, joined.course)
    _write([*(one for one in _read() if (one.url, one.course) != (url, joined.course)), made])
    return made


def _read() -> list[Connection]:
    path = data_folder() / _FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[Connection])
    except FileNotFoundError:
        return []
    except msgspec.MsgspecError as error:
        raise StudiumError(f"{path} cannot be read: {error}; move it elsewhere and join again") from error


def _write(kept: list[Connection]) -> None:
    path = data_folder() / _FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_name(f".{_FILE}-{secrets.token_hex(4)}")
    descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(kept), indent=2))
    Path(staged).replace(path)
