"""The learner's settings: few, typed, each with a default."""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from studium.desk.store import Store
from studium.errors import UnknownNameError, UsageError


class Settings(msgspec.Struct, frozen=True):
    """How the desk behaves.

    ``hints_after`` and ``reveal_after`` count attempts. ``limit`` is the longest time for one cell or one exercise, in
    seconds. ``memory_guard`` refuses what would be killed for want of memory. ``warm`` keeps a process for checks.
    """

    hints_after: Annotated[int, msgspec.Meta(ge=0, le=100)] = 0
    reveal_after: Annotated[int, msgspec.Meta(ge=0, le=100)] = 1
    limit: Annotated[float, msgspec.Meta(ge=0.1, le=86_400)] = 60.0
    memory_guard: bool = True
    warm: bool = True
    review_minutes: Annotated[float, msgspec.Meta(ge=1, le=60)] = 3.0


def read_settings(store: Store) -> Settings:
    """Return the settings; one that is not understood has its default."""
    found: dict[str, Any] = {}
    for name, text in store.read("select name, value from settings"):
        try:
            value = msgspec.json.decode(str(text))
            msgspec.convert({name: value}, Settings)
        except (msgspec.DecodeError, msgspec.ValidationError):
            continue
        found[str(name)] = value
    return msgspec.convert(found, Settings)


def change_settings(store: Store, changes: Mapping[str, Any]) -> Settings:
    """Change some settings, all or none; give all of them. Raise UsageError for one that cannot be."""
    for name in changes:
        if name not in Settings.__struct_fields__:
            raise UnknownNameError("setting", name, Settings.__struct_fields__)
    try:
        msgspec.convert(dict(changes), Settings)
    except msgspec.ValidationError as error:
        raise UsageError(f"a setting has another type or range: {error}; see the page about settings") from None
    rows = [(name, msgspec.json.encode(value).decode()) for name, value in changes.items()]
    store.write("insert or replace into settings values (?, ?)", rows)
    return read_settings(store)
