"""Permissions for tests, in few words."""

from __future__ import annotations

from studium_graders.engine.judge_side.permissions import Permissions
from studium_graders.engine.material.assignment import Permission


def permissions(*, objects=(), operators=(), granted=(), recording=True, **more):
    """``objects`` may come from these paths; ``operators`` are (path, name) of objects that answer each other."""
    found = {Permission("object", path) for path in objects} | set(granted)
    found |= {Permission("operator", path, name) for path, name in operators}
    return Permissions(found, recording=recording, **more)
