"""What the tests of a stranger's topic share: copies of the sample, and environments to install them in."""

import os
import shutil
import site
import subprocess
import sysconfig
import venv
from collections.abc import Callable
from importlib.metadata import distributions
from pathlib import Path

import pytest

SAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "studium-topic-echo"
OFFLINE = {"PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "STUDIUM_PROFILE": "smoke"}


class Environment:
    """A fresh virtual environment that sees the packages of the running one, and is otherwise empty."""

    def __init__(self, folder: Path) -> None:
        venv.create(folder, with_pip=not any(distributions(name="pip")))  # the running one's pip will do
        paths = sysconfig.get_paths("venv", vars={"base": str(folder), "platbase": str(folder)})
        self.python = Path(paths["scripts"]) / "python"
        lines = "; ".join(f"site.addsitedir({path!r})" for path in site.getsitepackages())
        (Path(paths["purelib"]) / "running_environment.pth").write_text(f"import site; {lines}\n")

    def run(self, *arguments: object) -> str:
        """Run its Python, which must succeed; give what it printed."""
        done = self._run(arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def studium(self, *arguments: object) -> tuple[int, str, str]:
        """studium("topics", "--json") → (exit code, standard output, standard error)."""
        done = self._run(("-m", "studium", *arguments))
        return done.returncode, done.stdout, done.stderr

    def install(self, *projects: Path) -> None:
        """Install from source with pip."""
        self.run("-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", *projects)

    def _run(self, arguments: tuple[object, ...]) -> "subprocess.CompletedProcess[str]":
        own = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | OFFLINE
        command = [str(self.python), *map(str, arguments)]
        return subprocess.run(command, env=own, capture_output=True, text=True, check=False, timeout=300)


def copy_sample(folder: Path, name: str = "echo") -> Path:
    """Copy the sample into ``folder``, with the distribution, the package and the entry point called by ``name``."""
    project = folder / f"studium-topic-{name}"
    shutil.copytree(SAMPLE, project, ignore=shutil.ignore_patterns("__pycache__"))
    for path in (path for path in project.rglob("*") if path.is_file()):
        text = path.read_text("utf-8").replace("studium_topic_echo", f"studium_topic_{name}")
        path.write_text(text.replace("studium-topic-echo", f"studium-topic-{name}"), "utf-8")
    pyproject = project / "pyproject.toml"
    pyproject.write_text(pyproject.read_text("utf-8").replace("\necho = ", f"\n{name} = "), "utf-8")
    (project / "studium_topic_echo").rename(project / f"studium_topic_{name}")
    return project


@pytest.fixture(scope="session")
def make_environment(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Environment]:
    """make_environment(project, …) → a fresh environment in which the projects are installed."""

    def make(*projects: Path) -> Environment:
        environment = Environment(tmp_path_factory.mktemp("environment"))
        environment.install(*projects)
        return environment

    return make


@pytest.fixture(scope="session")
def stranger(make_environment: Callable[..., Environment], tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """The environment of somebody who has installed the sample."""
    return make_environment(copy_sample(tmp_path_factory.mktemp("project")))
