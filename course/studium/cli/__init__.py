"""The command line. Each command has its own module; plugins add theirs through ``studium_commands``.

Exit codes: 0 success, 1 a problem (one sentence on stderr), 2 a usage error.
"""

import atexit
import contextlib
import io
import os
import sys
from typing import NoReturn

from studium.catalogue.catalogue import load_catalogue
from studium.errors import StoppedError, StudiumError, UsageError

_STOPPED = 130  # what shells report for Ctrl-C


def main() -> None:
    """Run the command line and end the process at once, because unloading every import takes up to 0.3 s."""
    code: int | str | None = 0
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that cannot encode a name
    try:
        run()
    except SystemExit as end:
        code = end.code
    if isinstance(code, str):
        print(code, file=sys.stderr)  # noqa: T201
    atexit._run_exitfuncs()
    for stream in filter(None, (sys.stdout, sys.stderr)):  # None if it was closed
        with contextlib.suppress(OSError):  # the reader has gone
            stream.flush()
    os._exit(code if isinstance(code, int) else int(bool(code)))


def run() -> None:
    """Run the command line and raise SystemExit."""
    try:
        catalogue = load_catalogue()
        catalogue.manager.hook.studium_begin(arguments=sys.argv[1:])
        from studium.cli.app import build_app  # typer takes 60 ms to import

        build_app(catalogue)()
    except SystemExit as end:
        if end.code == _STOPPED:  # typer prints nothing then
            _exit("stopped", _STOPPED)
        raise
    except UsageError as error:
        _exit(str(error), 2)
    except StoppedError as error:
        _exit(str(error), _STOPPED)
    except StudiumError as error:
        _exit(str(error), 1)
    except OSError as error:
        what = f": {error.filename}" if error.filename else ""
        check = "; check that path, its permissions and its disk" if error.filename else ""
        _exit(f"{error.strerror or error}{what}; nothing was lost{check}", 1)
    except KeyboardInterrupt:
        _exit("stopped", _STOPPED)


def _exit(sentence: str, code: int) -> NoReturn:
    print(f"studium: {sentence}", file=sys.stderr)  # noqa: T201
    sys.exit(code)
