"""The page of the course server's interface, from its routes and messages."""

from __future__ import annotations

import inspect

from generators.layout import BACK
from studium.classroom import messages
from studium_classroom import findings, marking, status
from studium_classroom.web import marking_requests
from studium_classroom.web.base import Rule, rule_of
from studium_classroom.web.routes import ROUTES, VERBS
from studium_graders.marking import forms as marking_forms


def classroom_page() -> str:
    """List the addresses of the course server: who may use them, what to send and what comes back."""
    lines = [_CLASSROOM, "| who | request | what it does |", "|---|---|---|"]
    for path, handler in ROUTES.items():
        for verb in VERBS:
            if rule := rule_of(handler, verb):
                text = (inspect.getdoc(getattr(handler, verb)) or "").replace("\n", " ")
                lines.append(f"| {_asker(path, rule)} | `{verb.upper()} {path}` | {text} |")
    return "\n".join([*lines, "", "## Forms", "", *map(_form, _forms()), BACK.replace("../", "")])


_CLASSROOM = """# The course server's interface

All addresses begin with `/api/`, or behind a JupyterHub with `/services/classroom/api/`. A client sends the header
`Authorization: token …`; cookies are ignored. Bodies and answers are JSON, except for archives (ZIP) and feedback pages
(HTML). A refusal is `{"message": "one sentence"}` with the status 400 (bad request), 401 (no token), 403 (not allowed),
404 (not found), 405 (method not supported), 413 (too large) or 429 (too often). The roles are student, ta, instructor
and owner, and each may do everything that the roles before it may. A TA with a section sees only that section.

Addresses marked *or a board* also accept `Authorization: board …`, the session of [a board](classroom.md#the-board),
which can read them for one course until it ends. `GET live` sends server-sent events (`text/event-stream`), each of
them a whole `Status`; a line that begins with a colon is a sign of life. In the same way, addresses marked *or a
marking page* accept `Authorization: mark …`, the session of [a marking page](classroom.md#mark-by-hand). They refuse
what somebody else holds, or what has changed, with the status 409.
"""


def _asker(path: str, rule: Rule) -> str:
    if rule.role is None:
        return "anybody"
    role = rule.role.label if "{course}" in path else "any member"
    page = "a board" if rule.board else "a marking page" if rule.mark else ""
    return f"{role}, or {page}" if page else role


def _forms() -> list[type]:
    by_hand = [marking.Questions, marking.AnswerPage, marking.AskedRegrade]
    for module in (marking_forms, marking_requests):
        by_hand += [one for one in vars(module).values() if getattr(one, "__module__", "") == module.__name__]
    staff = [status.Status, status.Row, findings.Standing, status.History, findings.Finding]
    return (
        [item for item in vars(messages).values() if getattr(item, "__module__", "") == messages.__name__]
        + staff
        + by_hand
    )


def _form(form: type) -> str:
    fields = ", ".join(f"`{name}`" for name in form.__struct_fields__)  # type: ignore[attr-defined]
    text = " ".join((inspect.getdoc(form) or "").split()).replace("``", "`")
    return f"**{form.__name__}**: {fields}. {text}\n"
