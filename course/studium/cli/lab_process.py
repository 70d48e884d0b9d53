"""The process of ``studium lab``: JupyterLab, which prints its address on one line and otherwise only problems."""

import signal

from jupyter_server.serverapp import ServerApp
from jupyterlab.labapp import LabApp
from tornado.web import HTTPError


class QuietServer(ServerApp):  # type: ignore[misc]  # jupyter_server has no types for mypy here
    """JupyterLab's server, without the dozen lines it prints around its address."""

    def find_server_extensions(self) -> None:
        """Leave out nbgrader's extensions: they are for instructors and warn learners that nothing is configured."""
        super().find_server_extensions()
        for name in [name for name in self.jpserver_extensions if name.startswith("nbgrader.")]:
            del self.jpserver_extensions[name]

    def init_signal(self) -> None:
        """End the kernels, too, when the terminal is closed."""
        super().init_signal()
        if hasattr(signal, "SIGHUP"):
            signal.signal(signal.SIGHUP, self._signal_stop)

    async def cleanup_kernels(self) -> None:
        """End the kernels, and the server also where one has never started: it is listed, but cannot be ended."""
        try:
            await super().cleanup_kernels()
        except HTTPError as error:
            self.log.debug("not all kernels could be ended: %s", error)

    def start_app(self) -> None:
        """Start, and print the address as soon as the server listens there: it has asked the loop for that already."""
        self.io_loop.add_callback(print, f"JupyterLab is at {self.public_url}", flush=True)
        self.identity_provider.token_generated = False  # if the server generated one, it explains that in many lines
        super().start_app()


def main() -> None:
    """Run JupyterLab with the arguments of the command line."""
    LabApp.serverapp_class = QuietServer
    LabApp.launch_instance()
