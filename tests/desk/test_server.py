"""The server extension: whoever is not logged in is refused, what is hostile changes nothing, the rest works."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from studium.desk.journal import Journal
from studium.desk.records import Checked, Revealed
from studium.desk.store import Store
from studium.notebooks.files import SAVED_WIDGET
from studium.server.routes import HANDLERS
from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest, HTTPResponse

from tests.children import child

from .answering import UNSCALED

pytestmark = pytest.mark.xdist_group("desk-server")
TOKEN = "for-tests-alone"


class Server:
    """A Jupyter server with the extension, in a process of its own."""

    def __init__(self, address: str, folder: Path) -> None:
        self.address, self.folder, self.data = address, folder, folder.parent / "data"

    def ask(self, verb: str, path: str, body: Any = None, /, *, token: str = TOKEN, **query: str) -> tuple[int, Any]:
        """Return the status and the JSON of an answer."""
        address = f"{self.address}/studium/api/{path}" + (f"?{urlencode(query)}" if query else "")
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"token {token}"} if token else {}
        request = HTTPRequest(
            address, verb, headers, data, allow_nonstandard_methods=True, request_timeout=300, follow_redirects=False
        )
        response = asyncio.run(_fetch(request))
        return response.code, json.loads(response.body) if response.body else None


async def _fetch(request: HTTPRequest) -> HTTPResponse:
    return await AsyncHTTPClient(force_instance=True, max_body_size=1 << 30).fetch(request, raise_error=False)


@pytest.fixture(scope="module")
def server(tmp_path_factory, all_described):
    """A server on a workspace with the lesson of lora; its state is in a folder of its own."""
    home = tmp_path_factory.mktemp("home")
    (home / "data").mkdir()
    (home / "data" / "topics").symlink_to(all_described)
    folder = home / "ws"
    folder.mkdir()
    secret = home / "secret.ipynb"
    secret.write_text("{}")
    (folder / "link.ipynb").symlink_to(secret)
    code = (
        "import asyncio, sys\nfrom jupyter_server.serverapp import ServerApp\n"
        "app = ServerApp()\napp.initialize(sys.argv[1:], new_httpserver=True)\n"
        "app.io_loop.add_callback(lambda: print(app.port, flush=True))\napp.start()\n"  # once it listens
    )
    command = [sys.executable, "-c", code, "--no-browser", "--allow-root", "--port=0", f"--ServerApp.root_dir={folder}"]
    command += [f"--IdentityProvider.token={TOKEN}", "--ServerApp.jpserver_extensions={'studium.server': True}"]
    own = {
        "STUDIUM_DATA": str(home / "data"),
        "JUPYTER_CONFIG_DIR": str(home),
        "JUPYTER_NO_CONFIG": "1",
        "HOME": str(home),
    }
    with (
        (home / "log").open("w") as log,
        child(command, env=os.environ | own, stdout=subprocess.PIPE, stderr=log) as process,
    ):
        assert process.stdout is not None
        port = process.stdout.readline().strip()  # an empty line where it has ended
        assert port, (home / "log").read_text()
        server = Server(f"http://127.0.0.1:{port}", folder)
        assert server.ask("POST", "lessons", {"slug": "lora"}) == (200, {"path": "lora.ipynb"})
        yield server
    for folder in Path(tempfile.gettempdir()).glob("jupyter-clean-cfg-*"):  # what JUPYTER_NO_CONFIG leaves there
        shutil.rmtree(folder, ignore_errors=True)


def wait(server, name):
    for _ in range(600):
        _, job = server.ask("GET", f"checks/{name}")
        if job["state"] not in ("queued", "running"):
            return job
        time.sleep(0.1)
    raise AssertionError(job)


VERBS = ("get", "post", "put", "patch", "delete", "head")
BUILT_IN = ("options",)
ALL = [
    (verb, re.sub(r"\([^)]*\)", "1", re.sub(r"\((\w+)\|[^)]*\)", r"\1", path.replace("([0-9a-f]{32})", "0" * 32))))
    for path, handler in HANDLERS.items()
    for verb in VERBS
    if verb in vars(handler)
]


def test_the_walk_finds_every_handler_and_verb():
    assert len(ALL) >= 24
    assert {path.split("/")[0] for _, path in ALL} == {path.split("/")[0] for path in HANDLERS}


def test_who_is_not_logged_in_is_refused_on_every_verb_of_every_handler(server):
    for token in ["", "wrong"]:
        for verb, path in ALL:
            assert server.ask(verb.upper(), path, b"{}", token=token)[0] == 403, (verb, path)


def test_the_syllabus_has_tracks_topics_and_exercises(server):
    status, found = server.ask("GET", "syllabus")
    assert status == 200
    (lora,) = [topic for track in found["tracks"] for topic in track["topics"] if topic["slug"] == "lora"]
    assert lora["path"] == "lora.ipynb"
    assert {"id", "status", "minutes", "hints", "can_reveal", "label"} <= set(lora["exercises"][0])
    assert found["totals"]["exercises"] >= 7
    assert any(section["title"] == "Into a real model" for section in lora["sections"])


def test_the_cover_is_the_first_widget_of_the_lesson_that_is_marked(server):
    status, found = server.ask("GET", "cover")
    assert (status, found["cover"]["slug"]) == (200, "ddpm")
    assert found["cover"]["widget"]["widget"] == "studium_topics/kits/film"


def test_a_wrong_answer_is_checked_named_helped_reset_and_reviewed(server):
    path = server.folder / "lora.ipynb"
    notebook = json.loads(path.read_text())
    next(cell for cell in notebook["cells"] if cell["id"] == "lora-merge")["source"] = UNSCALED
    body = {"path": "lora.ipynb", "exercise": "merge", "notebook": notebook}
    status, job = server.ask("POST", "checks", body)
    assert (status, job["slug"]) == (202, "lora")
    (result,) = wait(server, job["id"])["results"]
    assert (result["outcome"], result["state"]["status"]) == ("wrong", "wrong")
    assert result["mistake"].startswith("You added alpha times B A")
    assert result["mistake_id"].startswith("lora.merge:")
    assert result["first_failure"]["name"] == result["state"]["test"]
    assert UNSCALED not in path.read_text()
    one = {"path": "lora.ipynb", "exercise": "merge"}
    assert len(server.ask("POST", "hint", one)[1]["hints"]) == 1
    assert "alpha / a.shape[0]" in server.ask("POST", "reveal", one)[1]["solution"]
    assert server.ask("GET", "history", **one)[1]["versions"][0]["answer"] == UNSCALED
    (question,) = server.ask("GET", "review")[1]["questions"]
    assert server.ask("POST", "review", {"card": question["card"], "choice": 0})[0] == 200
    assert server.ask("POST", "reset", one)[1]["state"]["status"] == "revealed"


def test_what_the_tests_saw_of_a_wrong_answer_is_shown_and_nothing_is_recorded(server):
    notebook = json.loads((server.folder / "lora.ipynb").read_text())
    answer = next(cell for cell in notebook["cells"] if cell["id"] == "lora-merge")
    answer["source"] = UNSCALED
    before = snapshot(server)
    body = {"path": "lora.ipynb", "exercise": "merge", "notebook": notebook}
    status, shown = server.ask("POST", "difference", body)
    assert (status, snapshot(server)) == (200, before)
    assert shown["output"][SAVED_WIDGET]["widget"].endswith("tensor_difference")
    assert "application/vnd.jupyter.widget-view+json" not in shown["output"]
    answer["source"] = "def merge(weight, a, b, alpha):\n    raise ValueError('no')"
    status, error = server.ask("POST", "difference", body)
    assert (status, error["message"]) == (400, "none of the arrays differ any more in merge; check it again")


def test_the_cells_that_an_experiment_needs_are_told_in_order_without_checks(server):
    notebook = json.loads((server.folder / "lora.ipynb").read_text())
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    roles = {cell["id"]: cell["metadata"]["studium"]["role"] for cell in cells}
    serve = next(one for one in exercises_of(server, "lora") if one["id"] == "serve")
    body = {"path": "lora.ipynb", "cell": serve["experiment"], "notebook": notebook}
    found = server.ask("POST", "needed", body)[1]["cells"]
    assert found[-1] == serve["experiment"]
    assert "lora-serve" in found
    assert found == [name for name in roles if name in found]
    assert {roles[name] for name in found} <= {"setup", "code", "exercise", "experiment"}
    status, error = server.ask("POST", "needed", {**body, "cell": "nowhere"})
    assert (status, error["message"]) == (404, "the notebook has no code cell called 'nowhere'; open the lesson again")


def test_the_end_of_a_lesson_tells_what_the_learner_can_do_now_and_what_comes_next(server):
    found = server.ask("GET", "ending", path="lora.ipynb")[1]
    assert found["title"].startswith("LoRA")
    assert len(found["abilities"]) == 5
    assert found["next"] in {topic["slug"] for topic in topics_of(server)} - {"lora"}


def test_the_opener_is_told_apart_from_the_topics(server):
    found = server.ask("GET", "syllabus")[1]
    assert (found["opener"]["slug"], found["opener"]["minutes"]) == ("four-minutes", 4)
    assert "four-minutes" not in {topic["slug"] for topic in topics_of(server)}


def topics_of(server):
    return [topic for track in server.ask("GET", "syllabus")[1]["tracks"] for topic in track["topics"]]


def exercises_of(server, slug):
    return next(topic["exercises"] for topic in topics_of(server) if topic["slug"] == slug)


def test_hints_come_after_as_many_attempts_as_the_settings_ask_for(server):
    one = {"path": "lora.ipynb", "exercise": "svd_lora"}
    assert server.ask("PUT", "settings", {"hints_after": 1})[0] == 200
    status, answer = server.ask("POST", "hint", one)
    assert (status, answer["message"]) == (400, "try first: hints come after an attempt at svd_lora; check an answer")
    assert server.ask("POST", "reveal", one)[0] == 400
    with Store(server.data) as store:
        Journal(store, server.folder).write("lora", "svd_lora", Checked("wrong", 0, 2, answer="x"))
    assert server.ask("POST", "hint", one)[1]["state"]["hints_taken"] == 1
    revealed = server.ask("POST", "reveal", one)[1]["state"]
    assert (revealed["status"], revealed["by_yourself"]) == ("revealed", False)
    server.ask("PUT", "settings", {"hints_after": 0})


def test_progress_is_exported_and_merged(server):
    _, file = server.ask("GET", "progress")
    assert server.ask("POST", "progress", {"file": file})[1] == {"added": 0, "known": len(file["entries"])}
    status, error = server.ask("POST", "progress", {"file": {**file, "sha256": "0" * 64}})
    assert status == 400
    assert "damaged" in error["message"]


def test_a_lesson_is_previewed_and_shared_and_has_nothing_to_undo(server):
    assert server.ask("GET", "update", path="lora.ipynb")[1]["available"] is False
    assert server.ask("POST", "update", {"path": "lora.ipynb", "digest": "0" * 32})[0] == 409
    assert server.ask("POST", "undo", {"path": "lora.ipynb"})[0] == 404
    assert server.ask("GET", "share", path="lora.ipynb", exercise="merge")[0] == 400
    assert server.ask("GET", "lesson", path="lora.ipynb")[1]["slug"] == "lora"


def test_search_glossary_labels_settings_and_predictions_answer(server):
    assert server.ask("GET", "search", q="low-rank adapter")[1]["results"][0]["slug"] == "lora"
    words = server.ask("GET", "glossary")[1]
    assert "rank" in [term["term"] for term in words["terms"]]
    assert {"symbol": "r", "meaning": "rank of a low-rank update"} in words["symbols"]
    assert server.ask("GET", "labels")[1] == {"labels": []}
    settings = server.ask("PUT", "settings", {"review_minutes": 5})[1]
    assert (settings["settings"]["review_minutes"], settings["locked"], settings["sentence"]) == (5, [], "")
    prediction = {"path": "lora.ipynb", "name": "r", "guess": 3, "value": 7}
    assert server.ask("POST", "predictions", prediction)[1] == {"hit": False}


def snapshot(server):
    files = {path.name: path.read_bytes() for path in server.folder.iterdir()}
    return files, server.ask("GET", "progress")[1], server.ask("GET", "settings")[1]


ESCAPES = [
    "../secret.ipynb",
    "/../secret.ipynb",
    "a/../../secret.ipynb",
    ".hidden/x.ipynb",
    "link.ipynb",
    "..\\x.ipynb",
]
ESCAPES += ["C:/x.ipynb", "lora.ipynb\x00.ipynb", "../../../../../../etc/passwd", "lora.py", ""]


def test_a_path_that_leads_elsewhere_is_refused_and_nothing_changes(server):
    before = snapshot(server)
    for path in ESCAPES:
        one = {"path": path, "exercise": "merge"}
        for verb, address, body in [
            ("POST", "checks", one),
            ("POST", "difference", {**one, "notebook": {}}),
            ("POST", "needed", {"path": path, "cell": "x", "notebook": {}}),
            ("POST", "hint", one),
            ("POST", "reveal", one),
            ("POST", "reset", one),
            ("POST", "restore", {**one, "version": "0" * 32}),
            ("POST", "update", {"path": path, "digest": ""}),
            ("POST", "undo", {"path": path}),
        ]:
            status, answer = server.ask(verb, address, body)
            assert status == 400, address
            assert answer["message"].startswith("the path"), address
        for address in ("lesson", "history", "update", "share", "ending"):
            assert server.ask("GET", address, **one)[0] in (400, 404), address  # a query loses control characters
    assert snapshot(server) == before


BODIES = [
    b"",
    b"{",
    b"[]",
    b"null",
    b"\xff\xfe",
    b'{"path": 3}',
    b'{"path": "lora.ipynb", "exercise": ["x"]}',
    b"[" * 100_000,
]
BODIES += [
    b'{"path": "lora.ipynb", "exercise": "merge", "more": 1}',
    b'{"card": 1}',
    b'{"limit": "long"}',
    b'{"limt": 3}',
]


def test_a_body_that_is_something_else_gets_a_sentence_and_changes_nothing(server):
    before = snapshot(server)
    for verb, path in ALL:
        if verb in ("post", "put"):
            for body in BODIES:
                if (verb, body) != ("put", b"") and not (path == "settings" and body in (b"", b"{}")):
                    status, answer = server.ask(verb.upper(), path, body)
                    assert 400 <= status < 500, (verb, path, body)
                    assert answer["message"], (verb, path, body)
    assert snapshot(server) == before


def test_a_document_that_is_no_notebook_is_refused(server):
    for notebook in [
        {},
        {"cells": 3},
        {"cells": [3]},
        {"nbformat": 4, "nbformat_minor": 5, "metadata": {"studium": 3}, "cells": []},
    ]:
        status, answer = server.ask("POST", "checks", {"path": "lora.ipynb", "notebook": notebook})
        assert status == 400
        assert "cannot be read as a notebook" in answer["message"]


def test_a_giant_body_is_refused(server):
    status, answer = server.ask("POST", "checks", b'{"path": "' + b"x" * (33 << 20) + b'"}')
    assert (status, "32 MB" in answer["message"]) == (413, True)


def test_what_is_not_there_gets_a_sentence(server):
    for body, words in [
        ({"path": "none.ipynb"}, "does not exist"),
        ({"path": "lora.ipynb", "exercise": "marge"}, "did you mean 'merge'"),
    ]:
        status, answer = server.ask("POST", "checks", body)
        assert status == 404
        assert words in answer["message"]


def test_a_running_check_is_cancelled(server):
    notebook = json.loads((server.folder / "lora.ipynb").read_text())
    next(cell for cell in notebook["cells"] if cell["id"] == "lora-merge")["source"] = "while True: pass"
    _, job = server.ask("POST", "checks", {"path": "lora.ipynb", "exercise": "merge", "notebook": notebook})
    assert server.ask("DELETE", f"checks/{job['id']}")[0] == 200
    assert wait(server, job["id"])["state"] == "cancelled"
    assert server.ask("DELETE", f"checks/{'0' * 32}")[0] == 404


def test_events_say_hello_then_what_happens(server):
    got: list[bytes] = []

    async def listen() -> None:
        request = HTTPRequest(
            f"{server.address}/studium/api/events",
            headers={"Authorization": f"token {TOKEN}"},
            streaming_callback=got.append,
            request_timeout=4,
        )
        task = asyncio.ensure_future(AsyncHTTPClient(force_instance=True).fetch(request))
        while b"hello" not in b"".join(got):
            await asyncio.sleep(0.05)
        await asyncio.to_thread(server.ask, "POST", "hint", {"path": "lora.ipynb", "exercise": "init_lora"})
        with Store(server.data) as store:  # as a kernel does
            Journal(store, server.folder).write("lora", "merge", Revealed())
        with pytest.raises(HTTPClientError):  # it lasts until somebody leaves
            await task

    asyncio.run(listen())
    text = b"".join(got).decode()
    assert '{"workspace":null,' in text
    assert text.startswith('event: hello\ndata: {"version":')
    assert "event: progress\ndata: {" in text
    assert '"exercise":"init_lora"' in text


def test_starting_the_extension_imports_nothing_heavy():
    code = (
        "import sys, jupyter_server.base.handlers, jupyter_server.utils\nbefore = set(sys.modules)\n"
        "import studium.server.routes\nprint('\\n'.join(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    loaded = set(done.stdout.split())
    assert not loaded & {"torch", "numpy", "IPython", "jupytext", "sqlite3", "fsrs", "studium.catalogue.catalogue"}
    assert len(loaded) < 60
