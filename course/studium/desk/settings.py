"""The learner's settings: what they chose, within what the operator of the machine has decided."""

from collections.abc import Mapping
from typing import Any

import msgspec

from studium.desk.operator_defaults import read_defaults
from studium.desk.settings_form import Settings
from studium.desk.store import Store
from studium.errors import UnknownNameError, UsageError


def read_settings(store: Store) -> Settings:
    """Return the settings; a setting that is locked or invalid has its default."""
    defaults = read_defaults()
    found: dict[str, Any] = {}
    for name, text in store.read("select name, value from settings"):
        try:
            value = msgspec.json.decode(str(text))
            msgspec.convert({name: value}, Settings)
        except (msgspec.DecodeError, msgspec.ValidationError):
            continue
        if name not in defaults.locked:
            found[str(name)] = value
    return msgspec.convert(msgspec.structs.asdict(defaults.settings) | found, Settings)


def change_settings(store: Store, changes: Mapping[str, Any]) -> Settings:
    """Change some settings, all or none, and return all settings. Raise UsageError for one that cannot be changed."""
    locked = read_defaults().locked
    for name in changes:
        if name not in Settings.__struct_fields__:
            raise UnknownNameError("setting", name, Settings.__struct_fields__)
        if name in locked:
            raise UsageError(f"the operator of this machine has set {name}, so it cannot be changed here; ask them")
    try:
        msgspec.convert(dict(changes), Settings)
    except msgspec.ValidationError as error:
        raise UsageError(f"a setting has the wrong type or range: {error}; see the page about settings") from None
    rows = [(name, msgspec.json.encode(value).decode()) for name, value in changes.items()]
    store.write("insert or replace into settings values (?, ?)", rows)
    return read_settings(store)
