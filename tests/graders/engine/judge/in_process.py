"""A student's process that is none: cells run in a dict here. It has the API of ``StudentProcess`` and no safety."""

from __future__ import annotations

import contextlib
import io
import traceback

from studium_graders.engine.judge_side.permissions import Permissions
from studium_graders.engine.material.limits import Limits
from studium_graders.engine.material.results import CellRun


class InProcess:
    def __init__(self):
        self.names = {"__name__": "__main__"}
        self.gone = self.refusal = None
        self.permissions, self.limits = Permissions(), Limits()

    def run(self, source, *, name="", passing=False):
        printed = io.StringIO()
        error = ""
        with contextlib.redirect_stdout(printed):
            try:
                exec(compile(source, f"<cell {name}>", "exec"), self.names)
            except BaseException as caught:
                error = "".join(traceback.format_exception_only(caught)).strip()
        outputs = [{"output_type": "stream", "name": "stdout", "text": printed.getvalue()}]
        if error:
            outputs.append({"output_type": "error", "ename": error.split(":")[0], "evalue": error, "traceback": []})
        return CellRun(outputs, error)

    def get(self, name):
        if name not in self.names:
            raise NameError(f"name {name!r} is not defined")
        return self.names[name]

    def set(self, name, value):
        self.names[name] = value

    def watching(self):
        return contextlib.nullcontext(lambda: "")

    def forget_refusal(self):
        pass

    def allow(self, limits):
        self.limits = limits

    def delete(self, name):
        self.get(name)
        del self.names[name]

    def has(self, name):
        return name in self.names
