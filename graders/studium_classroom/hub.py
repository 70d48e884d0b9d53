"""The configuration with which a JupyterHub runs the course server as a service."""

import re
import sys
from pathlib import Path

from studium.errors import UsageError

from studium_classroom.settings import Settings

_NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")
_LINES = """\
# Studium's course server as a service of this hub. Written by `studium classroom init-hub`.
c.JupyterHub.services.extend([
    {{
        "name": {service!r},
        "url": {url!r},
        "command": {command!r},
        "cwd": {folder!r},
        "oauth_no_confirm": True,
    }}
])
# A student's own server asks with its own token: it may reach the service, and says whose it is and in which groups.
# A token can do what its owner can do, too, and no more.
c.JupyterHub.load_roles.extend([
    {{"name": "user", "scopes": ["self", "access:services!service={service}"]}},
    {{
        "name": "server",
        "scopes": [
            "users:activity!user",
            "access:servers!server",
            "access:services!service={service}",
            "read:users:name!user",
            "read:users:groups!user",
        ],
    }}
])
c.Spawner.environment.update({{"STUDIUM_CLASSROOM": {link!r}}})
# Groups are roles: studium:COURSE:student, studium:COURSE:ta:SECTION, studium:COURSE:instructor, studium:COURSE:owner.
# c.JupyterHub.load_groups.update({{"studium:COURSE:instructor": {{"users": ["grace"]}}}})
"""


def configuration(settings: Settings, folder: Path, service: str) -> str:
    """Return lines for jupyterhub_config.py. Raise UsageError for a name that a service cannot have."""
    if not _NAME.fullmatch(service):
        raise UsageError(
            f"a service's name may have only lowercase letters, digits and hyphens: got {service[:60]!a}; choose "
            f"another"
        )
    url = f"http://{settings.address}:{settings.port}"
    link = f"{settings.link}/services/{service}/"
    command = [sys.executable, "-m", "studium", "classroom", "serve", "--course", str(folder)]
    return _LINES.format(service=service, url=url, command=command, folder=str(folder), link=link)
