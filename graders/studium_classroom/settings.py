"""``classroom.toml``: which courses a server serves, where it keeps what came in, and where it listens.

A folder with a course.toml but without a classroom.toml is a server with only that course.
"""

import tomllib
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta
from studium.errors import CourseError, UsageError, continued
from studium_graders.course.course_file import FILE as COURSE_FILE
from studium_graders.course.messages import convert_message

FILE = "classroom.toml"


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A course server. Paths are relative to the file's folder; a ``database`` of "" is an SQLite file in ``data``.

    ``url`` is what students' links begin with, or "" if that is the server's address. The rest is as for ``studium
    grade``.
    """

    courses: Annotated[tuple[str, ...], Meta(min_length=1)]
    data: str = "classroom-data"
    database: str = ""
    address: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] = 8710
    url: str = ""
    executor: str = "local"
    scheduler: str = ""
    trust_submissions: bool = False

    @property
    def link(self) -> str:
        """What invitation links begin with: ``url``, or the address of the running server."""
        return self.url.rstrip("/") or self._running() or f"http://{self.address}:{self.port}"

    @property
    def noted(self) -> Path:
        """The file in which a running server leaves its address, which --port may have changed."""
        return Path(self.data, "address")

    def _running(self) -> str:
        try:
            return self.noted.read_text("utf-8").strip()
        except OSError:
            return ""


def read_settings(folder: Path) -> Settings:
    """Return the settings of the server in a folder, with absolute paths. Raise CourseError or UsageError."""
    folder = folder.resolve()
    found = _read(folder)
    data, courses = str(folder / found.data), tuple(str(folder / course) for course in found.courses)
    return msgspec.structs.replace(found, data=data, courses=courses)


def _read(folder: Path) -> Settings:
    path = folder / FILE
    if not path.is_file():
        if (folder / COURSE_FILE).is_file():
            return Settings((".",), data=".studium/classroom")
        raise UsageError(f"a course server needs {FILE} or {COURSE_FILE}: {folder} has neither; name it with --course")
    try:
        return msgspec.convert(tomllib.loads(path.read_text("utf-8-sig")), Settings)
    except msgspec.ValidationError as error:
        raise CourseError(f"{path} {convert_message(str(error), Settings, {})}") from error
    except ValueError as error:
        raise CourseError(f"{path} must be valid TOML: {continued(str(error))}; correct that line") from error
