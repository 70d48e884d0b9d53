"""The public warm-up of a student's process: imports and first uses that are slow, before the fork, and no secret."""

import io
import os
import sys
import tempfile
import types
from functools import cache
from typing import Any
from unittest import mock


@cache
def warm_up() -> Any:
    """Return a quiet IPython shell whose namespace is ``__main__``, in a process that has used torch once.

    Run with one thread, before any fork; what is forked has it already. Nothing of a course is loaded.
    """
    shell = _shell()
    _use_torch()
    _use_shell(shell)
    return shell


def _shell() -> Any:
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    config = Config()
    config.HistoryManager.enabled = False
    config.InteractiveShell.colors = "nocolor"
    config.InteractiveShell.history_length = 0
    config.InteractiveShell.xmode = "Plain"  # the others take 10 to 60 ms for a traceback
    InteractiveShell.clear_instance()
    main = types.ModuleType("__main__")
    sys.modules["__main__"] = main
    with tempfile.TemporaryDirectory() as folder, mock.patch.dict(os.environ, IPYTHONDIR=folder):  # it insists on one
        shell = InteractiveShell.instance(config=config, user_module=main, user_ns=main.__dict__)
    shell.atexit_operations = lambda: None
    return shell


def _use_torch() -> None:
    import numpy as np
    import torch
    from torch import nn

    for devices in (torch.cuda, torch.xpu, torch.mtia):  # seeding keeps a traceback for each, which takes 1 to 3 ms
        vars(devices)["traceback"] = types.SimpleNamespace(format_stack=list)
    torch.set_num_threads(1)
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.LayerNorm(2))
    for cls in (torch.optim.SGD, torch.optim.Adam):
        optimizer = cls(model.parameters(), lr=0.1)
        model(torch.ones(1, 2)).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    model(torch.ones(1, 2)).backward(torch.ones(1, 2))
    torch.testing.assert_close(torch.ones(1), torch.ones(1))
    np.testing.assert_allclose(1, 1)
    repr((torch.ones(2), np.ones(2)))
    np.linalg.svd(np.eye(2))
    torch.save(model.state_dict(), file := io.BytesIO())
    file.seek(0)
    torch.load(file)


def _use_shell(shell: Any) -> None:
    from IPython.utils.capture import capture_output

    with capture_output():
        shell.run_cell("1 + 1", store_history=False)
        shell.run_cell("1 / 0", store_history=False)
        shell.run_cell("def f(:", store_history=False)
    shell.displayhook.flush()
    shown = dict.fromkeys(("_", "__", "___"), "")
    shell.push(shown, interactive=False)  # else IPython takes them for names of the student's own
    vars(shell.displayhook).update(shown)
