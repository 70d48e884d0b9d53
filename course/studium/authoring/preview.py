"""The lesson in a browser while you write it: its page of the site, served to this machine only, and the checks."""

import json
import queue
import threading
from collections.abc import Iterable, Sequence
from copy import deepcopy
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat

from studium.authoring.lesson_process import Event
from studium.site import assets
from studium.site.cells import annotate, read_page
from studium.site.pages import POLICY, Lesson, lesson_page
from studium.topics.topic import Topic

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from studium.authoring.findings import CheckResult

_PANEL = Path(__file__).parent / "preview.html"
_KINDS = {".css": "text/css", ".js": "text/javascript"}


def preview_page(topic: Topic, notebook: "NotebookNode", events: Sequence[Event], profile: str) -> str:
    """Return the lesson's page of the site at this profile, with the outputs recorded in ``events``."""
    shown = {event.cell: event.outputs for event in events if event.edition == "lesson"}
    filled = deepcopy(notebook)
    for cell in filled.cells:
        if cell.cell_type == "code":
            cell.outputs = [nbformat.from_dict(output) for output in shown.get(cell.id, ())]
    annotate(filled, topic)
    page = read_page(filled, topic.title)
    return lesson_page([Lesson(topic, page, profile if shown else "")], 0, f"{POLICY}; connect-src 'self'")


class Preview:
    """A server on the loopback address for the page and a stream of updates to it."""

    def __init__(self, port: int = 0) -> None:
        self._page, self._checks = "<!doctype html><title>Preview</title><body></body>", "[]"
        self._listeners: list[queue.SimpleQueue[str | None]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", port), partial(_Handler, self))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        """The address at which a browser finds the page."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/"

    def show(self, page: str) -> None:
        """Show a lesson's page instead of the one before."""
        if page != self._page:
            self._page = page
            self._send({"changed": True})

    def tell(self, checks: "Iterable[CheckResult]") -> None:
        """Send the results of checks to the page, failures first."""
        ordered = sorted(checks, key=lambda check: check.passed)
        rows = [{"name": c.name, "passed": c.passed, "detail": c.detail} for c in ordered]
        self._checks = json.dumps(rows)
        self._send({"checks": rows})

    def close(self) -> None:
        """Stop serving."""
        for listener in self._listeners:
            listener.put(None)
        self._server.shutdown()
        self._server.server_close()

    def page(self) -> bytes:
        """Return the page as it is now."""
        panel = _PANEL.read_text("utf-8").replace("{checks}", self._checks.replace("</", "<\\/"))
        return self._page.replace("</body>", f"{panel}</body>").encode()

    def listen(self) -> "queue.SimpleQueue[str | None]":
        """Return a queue of everything new from now on; None ends it."""
        listener: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._listeners.append(listener)
        return listener

    def _send(self, news: dict[str, Any]) -> None:
        for listener in self._listeners:
            listener.put(json.dumps(news))


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, preview: Preview, *arguments: Any) -> None:
        self.preview = preview
        super().__init__(*arguments)

    def do_GET(self) -> None:
        host = (self.headers.get("Host") or "").rpartition(":")[0]
        if host not in ("127.0.0.1", "localhost"):  # a page elsewhere whose name resolves to this machine
            self.send_error(403)
        elif self.path == "/":
            self._answer("text/html; charset=utf-8")
            self.wfile.write(self.preview.page())
        elif self.path == "/events":
            self._stream()
        elif (name := self.path.removeprefix(f"/{assets.FOLDER}/")) in assets.names():
            self._answer(f"{_KINDS[Path(name).suffix]}; charset=utf-8")
            self.wfile.write(assets.asset(name).encode())
        else:
            self.send_error(404)

    def _stream(self) -> None:
        news = self.preview.listen()
        self._answer("text/event-stream")
        try:
            while (text := news.get()) is not None:
                self.wfile.write(f"data: {text}\n\n".encode())
                self.wfile.flush()
        except OSError:  # the browser has gone
            pass

    def _answer(self, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Cache-Control", "no-store")
        self.end_headers()

    def log_message(self, *arguments: Any) -> None:
        """Log nothing."""
