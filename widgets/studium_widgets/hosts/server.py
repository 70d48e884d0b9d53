"""A jupyter_server extension that gives the source of installed widgets to the renderer of saved notebooks.

It also tells which widget a notebook shows first: a page that opens with the notebook asks while it is still starting,
because once the notebook is there, browser and server are busy with formulas.
"""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from jupyter_server.utils import ensure_async, url_path_join
from tornado import web

from studium_widgets.hosts.installed import UnknownWidgetError, find
from studium_widgets.modules import ModuleLinkError

__all__ = ["FirstHandler", "ModuleHandler", "first_widget", "load"]

SAVED = re.compile(r'"application/vnd\.studium\.widget\+json":\s*(?={)')  # not in a source: quotes are escaped there


class ModuleHandler(APIHandler):  # type: ignore[misc]  # jupyter_server has no types for mypy here
    """GET studium/widgets/<package>/<script>: the widget's whole module; 404 with one sentence if there is none."""

    auth_resource = "contents"

    @web.authenticated
    @authorized  # type: ignore[untyped-decorator]
    async def get(self, name: str) -> None:
        try:
            text = await asyncio.to_thread(lambda: find(name).module())  # imports numpy, which takes a second
        except (UnknownWidgetError, ModuleLinkError) as error:
            raise web.HTTPError(404, str(error)) from None
        self.set_header("Cache-Control", "no-cache")
        self.finish(text, set_content_type="text/javascript; charset=utf-8")


class FirstHandler(APIHandler):  # type: ignore[misc]
    """GET studium/first-widget/<path>: {"widget": name} of the first picture in a notebook, null if it has none."""

    auth_resource = "contents"

    @web.authenticated
    @authorized  # type: ignore[untyped-decorator]
    async def get(self, path: str) -> None:
        file = await ensure_async(self.contents_manager.get(path, type="file", format="text"))
        self.finish(json.dumps({"widget": first_widget(file["content"])}))


def first_widget(notebook: str) -> str | None:
    """Return the name given by the first saved picture in a notebook's text, None if there is none."""
    found = SAVED.search(notebook)
    try:
        name = json.JSONDecoder().raw_decode(notebook, found.end())[0].get("widget") if found else None
    except (ValueError, RecursionError):  # cut off, or made to exhaust memory
        return None
    return name if isinstance(name, str) else None


def load(server: Any) -> None:
    """Add the handlers to a running server."""
    base = url_path_join(server.web_app.settings["base_url"], "studium")
    handlers = {"widgets/(.*)": ModuleHandler, "first-widget/(.*)": FirstHandler}
    server.web_app.add_handlers(".*$", [(url_path_join(base, path), kind) for path, kind in handlers.items()])
