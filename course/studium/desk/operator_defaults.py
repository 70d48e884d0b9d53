"""What an operator has decided for the desks of a machine: default settings, locks, the course server's address."""

import os
import tomllib
from pathlib import Path
from typing import Any

import msgspec

from studium.desk.settings_form import Settings
from studium.errors import StudiumError, UnknownNameError

VARIABLE = "STUDIUM_DEFAULTS"  # names the file
_PLACE = Path("/etc/studium/desk.toml")


class OperatorDefaults(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file: ``settings`` replace Studium's defaults, and learners cannot change those in ``locked``.

    ``classroom`` is the address of the course server for users of a hub.
    """

    settings: Settings = Settings()
    locked: tuple[str, ...] = ()
    classroom: str = ""

    @property
    def sentence(self) -> str:
        """What learners are told about the locks, or "" if there are none."""
        if not self.locked:
            return ""
        told = [f"{name} = {msgspec.json.encode(getattr(self.settings, name)).decode()}" for name in self.locked]
        return f"The operator of this machine has set {', '.join(told)}."


def place() -> Path | None:
    """Return the operator's file, or None if it does not exist and was not named."""
    if named := os.environ.get(VARIABLE, ""):
        return Path(named).expanduser()
    return _PLACE if _PLACE.exists() else None


def read_defaults() -> OperatorDefaults:
    """Return what the operator's file sets, or Studium's own defaults without one.

    Raise StudiumError for a file that cannot be used, because a lock that does not work would be worse.
    """
    path = place()
    if path is None:
        return OperatorDefaults()
    try:
        data = tomllib.loads(path.read_text("utf-8-sig"))
        _require_known(data)
        return msgspec.convert(data, OperatorDefaults)
    except OSError as error:
        why = error.strerror or "cannot be read"
    except (ValueError, StudiumError) as error:  # of TOML, of UTF-8, and msgspec's
        why = str(error)
    raise StudiumError(f"the file with the operator's defaults must be usable: {path}: {why}; correct it")


def _require_known(data: dict[str, Any]) -> None:
    settings, locked = data.get("settings", {}), data.get("locked", [])
    for name in [*settings, *locked] if isinstance(settings, dict) and isinstance(locked, list) else []:
        if name not in Settings.__struct_fields__:
            raise UnknownNameError("setting", str(name), Settings.__struct_fields__)
