"""Find out who is asking, by this server's own tokens or by those of the JupyterHub it is a service of."""

import asyncio
import os
import re
from typing import Any, Protocol

from studium.errors import StudiumError

from studium_classroom.class_roster import place_in
from studium_classroom.courses import Courses
from studium_classroom.members import Members
from studium_classroom.roles import Person, higher, places_of

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,99}")
_KEPT_SECONDS = 60  # seconds to trust the hub's answer: membership of a group that was taken away ends then


class Authentication(Protocol):
    """Identifies the owner of a token. ``invites``: people join by invitation."""

    invites: bool

    async def person(self, token: str) -> Person | None:
        """Return whose token it is, or None."""


class OwnTokens:
    """Tokens that this server issued for invitations."""

    invites = True

    def __init__(self, members: Members) -> None:
        self._members = members

    async def person(self, token: str) -> Person | None:
        """Return the member whose token it is, in the one course that it is for."""
        return await asyncio.to_thread(self._members.person, token)


class HubTokens:
    """Tokens of a JupyterHub. Its groups, this server's rosters and the class lists determine everyone's role."""

    invites = False

    def __init__(self, members: Members, courses: Courses) -> None:
        self._members, self._courses = members, courses
        self._hub = _hub_auth()
        self._scopes = frozenset(self._hub.access_scopes)

    async def person(self, token: str) -> Person | None:
        """Return the hub's user whose token it is. None for a service, and for a token that may not be used here."""
        model = await self._hub.user_for_token(token, sync=False)
        if not model or model.get("kind") != "user" or not _NAME.fullmatch(name := model["name"]):
            return None
        if not self._hub.check_scopes(self._scopes, model):
            return None
        places = places_of(model.get("groups", ()))
        for course, place in (await asyncio.to_thread(self._members.places, name)).items():
            places[course] = higher(place, places.get(course))
        for folder in self._courses:
            if listed := await asyncio.to_thread(place_in, folder, name):
                places[folder.id] = higher(listed, places.get(folder.id))
        return Person(name, {course: place for course, place in places.items() if course in self._courses})


def authentication(members: Members, courses: Courses) -> Authentication:
    """Return the hub's tokens if a JupyterHub started this server, and otherwise its own."""
    if os.environ.get("JUPYTERHUB_API_TOKEN") and os.environ.get("JUPYTERHUB_SERVICE_NAME"):
        return HubTokens(members, courses)
    return OwnTokens(members)


def _hub_auth() -> Any:
    try:
        from jupyterhub.services.auth import HubAuth
    except ImportError:
        raise StudiumError(
            "a course server behind a JupyterHub needs jupyterhub, which is not installed; "
            "run: pip install 'studium[classroom]'"
        ) from None
    return HubAuth(cache_max_age=_KEPT_SECONDS)
