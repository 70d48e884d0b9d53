"""A fix for jupyter_server: JupyterLab and Notebook in one server, each with its own static files."""

from jupyter_server.base.handlers import FileFindHandler


class NothingKept(dict[str, str]):
    """A cache of file paths that stays empty, so each request looks in the folders of its own handler."""

    def __setitem__(self, name: str, path: str) -> None:
        """Store nothing."""


def separate_static_files() -> None:
    """Let handlers with different folders serve files with the same name.

    ``FileFindHandler`` (jupyter_server 2.21) has one cache for all its instances, keyed by name only. JupyterLab and
    Notebook ship MathJax's fonts under the same hashed names, so whichever application asks second is refused: the path
    found for the first is outside its own folders.
    """
    FileFindHandler._static_paths = NothingKept()
