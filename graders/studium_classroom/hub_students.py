"""The students of a course by the groups of a JupyterHub, whether they ever came or not."""

import os
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import httpx
from studium.errors import StudiumError, UsageError
from studium_graders.class_list.student_ids import RULE, is_usable
from studium_graders.class_list.students import ListedStudent
from studium_graders.lms.class_rows import FoundStudents

from studium_classroom.roles import Role, places_of

_PAGES = {"Accept": "application/jupyterhub-pagination+json"}  # otherwise a hub returns its first groups only
_SECONDS = 30.0


def students_of_hub(course: str, url: str = "") -> FoundStudents:
    """Return everybody whose groups make them students of ``course``, and no more than students.

    ``url`` is the address of the hub's API, by default JUPYTERHUB_API_URL; the token is JUPYTERHUB_API_TOKEN. Raise
    StudiumError if the hub does not answer or refuses.
    """
    url = url or os.environ.get("JUPYTERHUB_API_URL", "")
    token = os.environ.get("JUPYTERHUB_API_TOKEN", "")
    if not (url and token):
        lack = "JUPYTERHUB_API_TOKEN" if url else "JUPYTERHUB_API_URL, or --hub-url,"
        raise UsageError(f"reading the groups of a hub needs {lack} with its address and a token: set it and run again")
    groups: defaultdict[str, set[str]] = defaultdict(set)
    for group in _groups(url, token):
        for user in group["users"]:
            groups[user].add(group["name"])
    found = FoundStudents()
    for user, names in sorted(groups.items()):
        place = places_of(names).get(course)
        if place is None or place.role != Role.STUDENT:
            continue
        if is_usable(user):
            found.students.append(ListedStudent(user, section=place.section))
        else:
            found.problems.append(
                f"the hub's user {user[:60]!a} cannot be a student: a name may have {RULE}; rename it"
            )
    if not (found.students or found.problems):
        raise StudiumError(
            f"no group of the hub at {url} makes anybody a student of {course}; put them into studium:{course}:student"
        )
    return found


def _groups(url: str, token: str) -> Iterator[dict[str, Any]]:
    """Return all groups of a hub, page by page."""
    headers = {**_PAGES, "Authorization": f"token {token}"}
    following: dict[str, Any] | None = {"offset": 0}
    try:
        with httpx.Client(headers=headers, timeout=_SECONDS) as client:
            while following:
                answer = client.get(f"{url.rstrip('/')}/groups", params={"offset": following["offset"]})
                page = {} if answer.status_code in (401, 403) else answer.raise_for_status().json()
                if not page or any("users" not in group for group in page["items"]):
                    raise StudiumError(
                        f"the hub at {url} does not let this token list its groups: give it the scopes list:groups and "
                        f"read:groups"
                    )
                yield from page["items"]
                following = page["_pagination"]["next"]
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError) as error:
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise StudiumError(f"the hub at {url} did not list its groups: {why}; check the address of its API") from error
