"""Notebooks on Binder, Colab and Kaggle: the form of each address, and what the cells do."""

import subprocess
import sys
from types import SimpleNamespace

import nbformat
import pytest
from studium.notebooks.elsewhere import Repository, open_elsewhere

GITHUB = "https://github.com/owner/course"
WHEEL = "https://example.org/releases/v1/studium-0.1.0%2Bstudent-py3-none-any.whl"
TOPIC = SimpleNamespace(slug="lora", title="LoRA")


def opened(repository: Repository, title: str = "# LoRA") -> nbformat.NotebookNode:
    """A notebook of a title and a cell, with what opens it elsewhere."""
    first = [nbformat.v4.new_markdown_cell(title)] if title else []
    notebook = nbformat.v4.new_notebook(cells=[*first, nbformat.v4.new_code_cell("import math")])
    open_elsewhere(notebook, TOPIC, repository, "ps 1", "lora.ipynb")  # type: ignore[arg-type]
    nbformat.validate(notebook)
    return notebook


def test_a_file_on_github_opens_in_all_three_services():
    assert Repository(GITHUB, branch="v1.0").services("ps1/lora.ipynb") == {
        "Binder": "https://mybinder.org/v2/gh/owner/course/v1.0?urlpath=lab%2Ftree%2Fps1%2Flora.ipynb",
        "Colab": "https://colab.research.google.com/github/owner/course/blob/v1.0/ps1/lora.ipynb",
        "Kaggle": "https://www.kaggle.com/kernels/welcome?src=https://github.com/owner/course/blob/v1.0/ps1/lora.ipynb",
    }


def test_a_file_of_another_host_opens_on_binder_alone():
    for url, named in [
        ("https://gitlab.com/group/part/course.git", "gl/group%2Fpart%2Fcourse"),
        ("https://git.example.org/owner/course/", "git/https%3A%2F%2Fgit.example.org%2Fowner%2Fcourse"),
    ]:
        addresses = Repository(url).services("lora.ipynb")
        assert addresses == {"Binder": f"https://mybinder.org/v2/{named}/main?urlpath=lab%2Ftree%2Flora.ipynb"}


def test_an_address_as_git_writes_it_is_the_same_repository():
    for url in [f"{GITHUB}.git", f"{GITHUB}/"]:
        assert Repository(url).problem() == ""
        assert Repository(url).services("a.ipynb") == Repository(GITHUB).services("a.ipynb")


def test_names_with_spaces_and_signs_arrive_whole():
    addresses = Repository(GITHUB).services("problem set 1/50% of #2.ipynb")
    once = "problem%20set%201/50%25%20of%20%232.ipynb"
    twice = once.replace("%", "%25")  # the service takes it out of a query and puts it into an address
    assert addresses["Colab"].endswith(f"/blob/main/{once}")
    assert addresses["Kaggle"].endswith(f"/blob/main/{twice}")
    assert addresses["Binder"].endswith(f"?urlpath=lab%2Ftree%2F{twice.replace('/', '%2F')}")


def test_a_setting_that_leads_nowhere_is_a_sentence():
    for settings, sentence in [
        ({"url": "http://github.com/owner/course"}, "needs the https address of a public repository, such as"),
        ({"url": "git@github.com:owner/course.git"}, "for url of repository: got 'git@github.com:owner/course.git'"),
        ({"url": "https://github.com/owner"}, "needs the https address of a public repository"),
        ({"url": "https://github.com/owner/course/tree/main"}, "needs the https address of a public repository"),
        ({"url": "https://me:secret@github.com/owner/course"}, "needs the https address of a public repository"),
        ({"branch": "week/1"}, "needs a branch or tag without a slash, such as main, for branch of repository"),
        ({"handouts": "../course"}, "needs a folder inside the repository for handouts of repository: got '../course'"),
        ({"site": "/docs"}, "needs a folder inside the repository for site of repository: got '/docs'; correct it"),
        ({"student_wheel": WHEEL.replace("https", "http")}, "for student_wheel of repository: got 'http:"),
        ({"student_wheel": WHEEL.replace("%2Bstudent", "")}, "a wheel that studium student-wheel made"),
        ({"student_wheel": "https://example.org/"}, "a wheel that studium student-wheel made"),
    ]:
        assert sentence in Repository(**{"url": GITHUB, **settings}).problem()


def test_settings_that_lead_somewhere_are_none():
    for wheel in ["", WHEEL, WHEEL.replace("%2B", "+"), WHEEL.replace("%2B", "+local.")]:
        assert Repository(GITHUB, branch="2026.1", handouts="ps", site="docs/site", student_wheel=wheel).problem() == ""


def test_the_links_and_the_cell_stand_below_the_title():
    for title, at in [("# LoRA", 1), ("", 0)]:
        links, install, rest = opened(Repository(GITHUB), title).cells[at:]
        assert links.source.startswith("Open this notebook in [Binder](https://mybinder.org/")
        assert "ps%201/lora.ipynb) or [Kaggle](" in links.source
        assert install.source.startswith("# ")
        assert rest.source == "import math"


def test_where_one_service_takes_the_repository_one_is_named():
    text = opened(Repository("https://gitlab.com/owner/course")).cells[1].source
    assert text.startswith("Open this notebook in [Binder](")
    assert " or " not in text


def run_first_code(repository, monkeypatch):
    """Run the cell and return the commands that it would have started."""
    started = []
    monkeypatch.setattr(subprocess, "check_call", started.append)
    exec(opened(repository).cells[2].source, {})
    return started


def test_the_cell_does_nothing_where_studium_is_installed(monkeypatch):
    for wheel in ["", WHEEL]:
        assert run_first_code(Repository(GITHUB, student_wheel=wheel), monkeypatch) == []


def test_the_cell_installs_the_named_wheel_where_studium_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "studium", None)
    commands = run_first_code(Repository(GITHUB, student_wheel=WHEEL), monkeypatch)
    assert commands == [[sys.executable, "-m", "pip", "install", "--quiet", WHEEL]]


def test_without_a_wheel_the_cell_says_what_is_missing_and_whom_to_ask(monkeypatch):
    monkeypatch.setitem(sys.modules, "studium", None)
    with pytest.raises(
        ModuleNotFoundError, match=r"needs Studium, .* ask your instructor for the student wheel"
    ) as told:
        run_first_code(Repository(GITHUB), monkeypatch)
    assert told.value.__suppress_context__
