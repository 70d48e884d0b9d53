"""A link that opens a lesson on Binder, in the title of each lesson.

The environment variable STUDIUM_BINDER says where the course's repository lies, as Binder writes it:
``gh/owner/repository/branch``, or with ``gl`` for GitLab. Without it there is no link.
"""

import os
import re
from urllib.parse import quote

from nbformat import NotebookNode

from studium.errors import UsageError
from studium.topic import Topic

VARIABLE = "STUDIUM_BINDER"
WORKSPACE = "workspace"  # binder/postBuild puts the lessons there
_REPOSITORY = re.compile(r"(gh|gl)/[\w.-]+/[\w.-]+/[\w.%-]+")
_LINK = "[Open this lesson on Binder]({url})"


def binder_url(repository: str, path: str) -> str:
    """Return the address that opens the file ``path`` of the workspace in JupyterLab on Binder.

    Raise UsageError for a repository that Binder would not find.
    """
    if not _REPOSITORY.fullmatch(repository):
        raise UsageError(
            f"{VARIABLE} must look like gh/owner/repository/branch: got {repository!r}; correct or unset it"
        )
    return f"https://mybinder.org/v2/{repository}?urlpath={quote(f'lab/tree/{WORKSPACE}/{path}', safe='')}"


def link_to_binder(topic: Topic, notebook: NotebookNode) -> None:
    """Put the link under the title, where the environment names a repository."""
    if (repository := os.environ.get(VARIABLE)) and notebook.cells and notebook.cells[0].cell_type == "markdown":
        notebook.cells[0].source += f"\n\n{_LINK.format(url=binder_url(repository, f'{topic.slug}.ipynb'))}"
