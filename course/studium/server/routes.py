"""Which address leads to which handler."""

import asyncio
from functools import cache
from pathlib import Path
from typing import Any

from jupyter_server.utils import url_path_join

from studium.server import answers, checks, classroom, learning, progress
from studium.server.base import DeskHandler

HANDLERS: dict[str, type[DeskHandler]] = {
    "syllabus": learning.SyllabusHandler,
    "cover": learning.CoverHandler,
    "images": learning.ImagesHandler,
    "lesson": learning.LessonHandler,
    "lessons": learning.LessonsHandler,
    "ending": learning.EndingHandler,
    "search": learning.SearchHandler,
    "glossary": learning.GlossaryHandler,
    "labels": learning.LabelsHandler,
    "settings": learning.SettingsHandler,
    "checks": checks.ChecksHandler,
    "checks/([0-9a-f]{32})": checks.CheckHandler,
    "events": checks.EventsHandler,
    "difference": checks.DifferenceHandler,
    "needed": checks.NeededHandler,
    "hint": answers.HintHandler,
    "reveal": answers.RevealHandler,
    "history": answers.HistoryHandler,
    "reset": answers.ResetHandler,
    "restore": answers.RestoreHandler,
    "keep": answers.KeepHandler,
    "update": answers.UpdateHandler,
    "undo": answers.UndoHandler,
    "progress": progress.ProgressHandler,
    "retrospect": progress.RetrospectHandler,
    "share": progress.ShareHandler,
    "review": progress.ReviewHandler,
    "predictions": progress.PredictionsHandler,
    "classroom": classroom.ClassroomHandler,
    "classroom/fetch": classroom.FetchHandler,
    "classroom/submit": classroom.SubmitHandler,
    "classroom/check": classroom.ServerCheckHandler,
    "classroom/regrade": classroom.RegradeHandler,
    "classroom/(board|mark)": classroom.PageHandler,
    "classroom/grade": classroom.GradeHandler,
    "classroom/release": classroom.ReleaseHandler,
    "classroom/extend": classroom.ExtendHandler,
    "classroom/feedback/([^/]+)/([^/]+)/([1-9][0-9]{0,5})/([^/]+)": classroom.FeedbackHandler,
}


def add_handlers(web_app: Any) -> None:
    """Add all handlers to a server's application."""

    @cache
    def find_service() -> Any:
        from studium.server.service import Service  # only when somebody asks for the desk

        return Service(Path(web_app.settings["server_root_dir"]), asyncio.get_running_loop())

    base = url_path_join(web_app.settings["base_url"], "studium", "api")
    rules = [(url_path_join(base, path), kind, {"find_service": find_service}) for path, kind in HANDLERS.items()]
    web_app.add_handlers(".*$", rules)
