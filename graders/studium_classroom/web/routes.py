"""Which address leads to which handler."""

from typing import Any

from tornado.web import Application

from studium_classroom.classroom import Classroom
from studium_classroom.guesses import Guesses
from studium_classroom.people import Authentication
from studium_classroom.web import board, marking, staff, student, transfer
from studium_classroom.web.base import ClassroomHandler, UnknownHandler

_COURSE = "courses/{course}"
_ASSIGNMENT = f"{_COURSE}/assignments/{{assignment}}"
ROUTES: dict[str, type[ClassroomHandler]] = {
    "health": student.HealthHandler,
    "join": student.JoinHandler,
    "me": student.MeHandler,
    f"{_COURSE}/assignments": student.AssignmentsHandler,
    f"{_ASSIGNMENT}/handout": student.HandoutHandler,
    f"{_ASSIGNMENT}/check": student.CheckHandler,
    f"{_ASSIGNMENT}/submissions": student.SubmissionsHandler,
    f"{_ASSIGNMENT}/feedback/{{attempt}}/{{notebook}}": student.FeedbackHandler,
    f"{_ASSIGNMENT}/regrade": student.AskRegradeHandler,
    f"{_COURSE}/receipts": student.ReceiptsHandler,
    "board": board.OpenHandler,
    f"{_COURSE}/board": board.LinkHandler,
    f"{_ASSIGNMENT}/status": board.StatusHandler,
    f"{_ASSIGNMENT}/status/{{student}}/{{exercise}}": board.HistoryHandler,
    f"{_ASSIGNMENT}/live": board.LiveHandler,
    "mark": marking.OpenHandler,
    f"{_COURSE}/mark": marking.LinkHandler,
    f"{_ASSIGNMENT}/marking": marking.QuestionsHandler,
    f"{_ASSIGNMENT}/marking/next": marking.NextHandler,
    f"{_ASSIGNMENT}/marking/answers/{{answer}}": marking.AnswerHandler,
    f"{_ASSIGNMENT}/marking/requests": marking.RegradesHandler,
    f"{_ASSIGNMENT}/marking/requests/{{request}}": marking.RegradeHandler,
    f"{_ASSIGNMENT}/marking/rubric": marking.RubricHandler,
    f"{_ASSIGNMENT}/marking/rubric/{{item}}": marking.ItemHandler,
    f"{_ASSIGNMENT}/grade": staff.GradeHandler,
    f"{_ASSIGNMENT}/release": staff.ReleaseHandler,
    f"{_ASSIGNMENT}/received": transfer.ReceivedHandler,
    f"{_ASSIGNMENT}/received/{{student}}/{{attempt}}": transfer.ArchiveHandler,
    f"{_ASSIGNMENT}/source": transfer.SourceHandler,
    f"{_COURSE}/members": staff.MembersHandler,
    f"{_COURSE}/extensions": staff.ExtensionsHandler,
    f"{_COURSE}/audit": staff.AuditHandler,
}
PAGES: dict[str, type[ClassroomHandler]] = {
    "board/{course}/{assignment}": board.PageHandler,
    "mark/{course}/{assignment}": marking.MarkingPageHandler,
    "join": board.InvitationHandler,
}
VERBS = ("get", "post", "put", "delete", "patch")
_PARTS = {
    "{course}": r"(?P<course>[A-Za-z0-9_][A-Za-z0-9_.-]*)",
    "{assignment}": r"(?P<assignment>[A-Za-z0-9_][A-Za-z0-9_.-]*)",
    "{answer}": r"(?P<answer>[0-9A-Za-z-]{1,64})",
    "{request}": r"(?P<request>[1-9][0-9]{0,8})",
    "{item}": r"(?P<item>[0-9A-Za-z-]{1,64})",
    "{attempt}": r"(?P<attempt>[1-9][0-9]{0,5})",
    "{notebook}": r"(?P<notebook>[^/]{1,200})",
    "{student}": r"(?P<student>[^/]{1,200})",
    "{exercise}": r"(?P<exercise>[^/]{1,400})",
}


def application(classroom: Classroom, authentication: Authentication, prefix: str = "/") -> Application:
    """Return the web application; ``prefix`` is what the addresses of a hub's service begin with."""
    shared: dict[str, Any] = {"classroom": classroom, "authentication": authentication, "guesses": Guesses()}
    addresses = {f"api/{path}": handler for path, handler in ROUTES.items()} | PAGES
    base = prefix.rstrip("/") + "/"
    rules = [(base + _pattern(path), handler, shared) for path, handler in addresses.items()]
    return Application(
        rules, default_handler_class=UnknownHandler, default_handler_args=shared, log_function=lambda handler: None
    )


def _pattern(path: str) -> str:
    for name, pattern in _PARTS.items():
        path = path.replace(name, pattern)
    return path
