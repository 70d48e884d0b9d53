"""The server extension: the learner's desk over REST and one stream of events. ``docs/desk-api.md`` is its contract.

Nothing heavy is imported when a server starts; handlers import what they need when they are first called.
"""

from typing import Any


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "studium.server"}]


def _load_jupyter_server_extension(app: Any) -> None:
    from studium.server.routes import add_handlers
    from studium.server.static_files import separate_static_files

    separate_static_files()
    add_handlers(app.web_app)
