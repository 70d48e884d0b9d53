"""Run the course server until it is stopped."""

import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable

from studium.classroom.archive import MOST_ARCHIVE
from studium.errors import StudiumError
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

from studium_classroom.classroom import Classroom
from studium_classroom.people import authentication
from studium_classroom.web.routes import application

_IDLE_SECONDS = 120.0
_ROOM = 1 << 20  # bytes of a body besides an archive


async def serve(classroom: Classroom, address: str, port: int, prefix: str, ready: Callable[[int], None]) -> None:
    """Serve until SIGINT or SIGTERM; ``ready`` is called with the port once the server answers. Port 0 picks a free
    one.
    """
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s")
    app = application(classroom, authentication(classroom.members, classroom.courses), prefix)
    try:
        sockets = bind_sockets(port, address)
    except OSError as error:
        raise StudiumError(f"{address}:{port} cannot be used: {error.strerror}; choose another --port") from error
    server = HTTPServer(
        app,
        xheaders=True,
        max_body_size=MOST_ARCHIVE + _ROOM,
        idle_connection_timeout=_IDLE_SECONDS,
        body_timeout=600.0,
    )
    server.add_sockets(sockets)
    await classroom.start()
    stopped, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # Windows
            loop.add_signal_handler(number, stopped.set)
    ready(sockets[0].getsockname()[1])
    try:
        await stopped.wait()
    finally:
        classroom.live.close()
        server.stop()
        await server.close_all_connections()
        await classroom.close()
