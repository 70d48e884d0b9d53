"""The places where a widget can be shown: a live notebook, a saved one without a kernel, and a page of its own.

This package is also the jupyter_server extension for the second place (server.py).
"""

from typing import Any


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "studium_widgets.hosts"}]


def _load_jupyter_server_extension(server: Any) -> None:
    from studium_widgets.hosts.server import load

    load(server)
