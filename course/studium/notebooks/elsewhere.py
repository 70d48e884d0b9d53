"""A course's notebooks on Binder, Colab and Kaggle: the addresses that open them there, and the cells that link to
them.

The services read a course's public repository. Nothing here contacts them: an address is just text, and the cell that
installs Studium does nothing if Studium is already installed.
"""

import json
import re
from pathlib import PurePosixPath
from urllib.parse import quote, unquote

import msgspec
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell

from studium.notebooks.cell_ids import cell_id
from studium.topics.topic import Topic

_BINDER = "https://mybinder.org/v2/{repository}/{branch}?urlpath={path}"
_COLAB = "https://colab.research.google.com/github/{file}"
_KAGGLE = "https://www.kaggle.com/kernels/welcome?src={file}"
_ADDRESS = re.compile(r"https://(?P<host>[\w.-]+)/(?P<place>[\w.-]+(?:/[\w.-]+)+)/?", re.ASCII)
_BRANCH = re.compile(r"[\w.-]+", re.ASCII)
_WHEEL = re.compile(
    r'https://[\w.-]+/(?:[^\s"?#]+/)?[^-/\s"?#]+-[^-/\s"?#]+[+.]student(?:-[^-/\s"?#]+)+\.whl', re.ASCII
)
_ON_GITHUB = "github.com"
_WITH_WHEEL = """\
# Install Studium where it is missing, as on Colab or Kaggle.
try:
    import studium
except ModuleNotFoundError:
    import subprocess
    import sys

    subprocess.check_call([sys.executable, "-m", "pip", "install", "--quiet", {wheel}])"""
_WITHOUT = """\
# Say so where Studium is missing, as on Colab or Kaggle.
try:
    import studium
except ModuleNotFoundError:
    raise ModuleNotFoundError(
        "this notebook needs Studium, and your course does not say where to install it from; "
        "ask your instructor for the student wheel"
    ) from None"""


class Repository(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The public repository of a course: its address and layout.

    ``handouts`` is the folder in it with a folder of notebooks for each assignment, ``site`` the one with the output of
    ``studium html``. The first cell of a notebook installs Studium from the address ``student_wheel``.
    """

    url: str
    branch: str = "main"
    handouts: str = ""
    site: str = ""
    student_wheel: str = ""

    def problem(self) -> str:
        """Complete the sentence "course.toml …" with what is wrong, or return ""."""
        host, place = self._place()
        if not host or (host == _ON_GITHUB and place.count("/") > 1):
            needed = "the https address of a public repository, such as https://github.com/owner/course,"
            return f"needs {needed} for url of repository: got {self.url!r}; correct it"
        if not _BRANCH.fullmatch(self.branch):
            needed = "a branch or tag without a slash, such as main,"
            return f"needs {needed} for branch of repository: got {self.branch!r}; name another"
        for key, folder in (("handouts", self.handouts), ("site", self.site)):
            if folder.startswith("/") or "\\" in folder or ".." in folder.split("/"):
                return f"needs a folder inside the repository for {key} of repository: got {folder!r}; correct it"
        if self.student_wheel and not _WHEEL.fullmatch(unquote(self.student_wheel)):
            needed = "the https address of a wheel that studium student-wheel made, such as …+student-py3-none-any.whl,"
            return f"needs {needed} for student_wheel of repository: got {self.student_wheel!r}; correct it"
        return ""

    def services(self, path: str) -> dict[str, str]:
        """Return the addresses that open the repository's file ``path``, by service. Not every service accepts every
        host.
        """
        host, place = self._place()
        named = {_ON_GITHUB: f"gh/{place}", "gitlab.com": f"gl/{quote(place, safe='')}"}
        repository = named.get(host, f"git/{quote(f'https://{host}/{place}', safe='')}")
        in_lab = quote(f"lab/tree/{quote(path)}", safe="")  # twice: Binder decodes it once and puts it into an address
        addresses = {"Binder": _BINDER.format(repository=repository, branch=self.branch, path=in_lab)}
        if host == _ON_GITHUB:
            file = f"{place}/blob/{self.branch}/{quote(path)}"
            addresses["Colab"] = _COLAB.format(file=file)
            addresses["Kaggle"] = _KAGGLE.format(file=quote(f"https://github.com/{file}", safe=":/"))
        return addresses

    def _place(self) -> tuple[str, str]:
        """Return the host and the path of the repository, or "" and "" if ``url`` is not such an address."""
        found = _ADDRESS.fullmatch(self.url)
        return (found["host"], found["place"].removesuffix(".git")) if found else ("", "")


def open_elsewhere(notebook: NotebookNode, topic: Topic, repository: Repository, *path: str) -> None:
    """Insert the links and the cell that installs Studium below the title; ``path`` leads to the notebook."""
    links = [f"[{name}]({address})" for name, address in repository.services(str(PurePosixPath(*path))).items()]
    *first, last = links
    listed = f"{', '.join(first)} or {last}" if first else last
    wheel = repository.student_wheel
    source = _WITH_WHEEL.format(wheel=json.dumps(wheel)) if wheel else _WITHOUT
    cells = [
        new_markdown_cell(f"Open this notebook in {listed}.", **_identity(topic, "elsewhere")),
        new_code_cell(source, **_identity(topic, "install")),
    ]
    at = 1 if notebook.cells and notebook.cells[0].cell_type == "markdown" else 0
    notebook.cells[at:at] = cells


def _identity(topic: Topic, role: str) -> dict[str, object]:
    return {"id": cell_id(topic.slug, "import", role), "metadata": {"studium": {"role": role}}}
