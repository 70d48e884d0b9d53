"""What all tests share: a topic written on the spot, as its own little distribution."""

from __future__ import annotations

import importlib
import os
import shutil
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import HealthCheck, settings

from tests import whole_run

# How long an example takes to draw or to run says how busy the machine is, and nothing of the code.
settings.register_profile("studium", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("studium")

EXERCISES = '''
import torch
from studium import assert_close, exercise


@exercise(points=3, minutes=5, hints=("What is the shape of B @ A?", "The update is scaled by alpha / r."))
def merge(weight: torch.Tensor, a, b, alpha):
    """Fold the adapter into the frozen weight."""
    ### BEGIN SOLUTION
    return weight + alpha / a.shape[0] * (b @ a)
    ### END SOLUTION


@merge.test("keeps the shape of weight", points=1)
def _(merge):
    shape = tuple(merge(torch.zeros(3, 4), torch.ones(2, 4), torch.ones(3, 2), 1.0).shape)
    assert shape == (3, 4), f"expected shape (3, 4), got {shape}"


@merge.hidden("scales with alpha / r", points=2)
def _(merge, rng):
    w, a, b = (torch.randn(*s, generator=rng, dtype=torch.float64) for s in ((4, 5), (3, 5), (4, 3)))
    kept = w.clone()
    assert_close(merge(w, a, b, 8), kept + 8 / 3 * b @ a)
    assert_close(w, kept, message="the weight that came in must stay as it was")


@merge.misconception("You scaled by alpha; LoRA scales by alpha / r.", name="scaled-by-alpha")
def _(weight, a, b, alpha):
    return weight + alpha * (b @ a)


@merge.misconception("You forgot the scale.")
def _(weight, a, b, alpha):
    return weight + b @ a


@merge.misconception("You changed the weight in place.", name="changed-in-place")
def _(weight, a, b, alpha):
    weight += alpha / a.shape[0] * (b @ a)
    return weight


@merge.also_correct
def _(weight, a, b, alpha):
    return torch.addmm(weight, b, a, alpha=alpha / a.shape[0])


@exercise(points=1, minutes=1)
def twice(x):
    """Give x times two."""
    ### BEGIN SOLUTION
    return 2 * x
    ### END SOLUTION


@twice.test("doubles", points=1)
def _(twice):
    assert_close(twice(3.0), 6.0)
'''

LESSON = """
# %% [markdown]
# # Sample
#
# A question first.

# %% [markdown]
# ## Merging

# %% exercise="merge"
from {package}.exercises import merge

# %% [markdown]
# And then.

# %% exercise="twice"

# %% tags=["experiment"]
print(lesson.mine(merge).__name__)
"""

PLUGIN = """
from studium import Paper, Topic, hookimpl


@hookimpl
def studium_topics():
    yield Topic(slug="{slug}", title="Sample", track="Samples", summary="A sample.", package=__name__,
                papers=(Paper("LoRA", 2021, "2106.09685"),), needs={needs}, order={order})
"""

EXPERIMENT = """
from studium import Claim


def gap(merge, *, profile, seed):
    return profile.choose(smoke=0.5, laptop=0.1, gpu=0.1) + seed / 100


claims = (
    Claim("the gap is small", "2106.09685", gap, lambda result: result, at_most=0.2),
    Claim("the gap is there", "2106.09685", gap, lambda result: result, at_least=0.05, holds_from="smoke"),
)
"""


def pytest_configure(config: pytest.Config) -> None:
    if not config.pluginmanager.has_plugin("studium-widgets"):
        advice = "run `pip install --editable .` again, for its entry points have changed"
        raise pytest.UsageError(f"the tests need the plugin studium-widgets, got an older installation: {advice}")
    whole_run.pytest_configure(config)


class Site:
    """A folder on sys.path in which a test installs little distributions."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.packages: list[str] = []

    def install(self, name: str, entry_points: dict[str, str], files: dict[str, str], version: str = "1.0") -> None:
        """Write the modules, and the dist-info folder that a package installer would leave."""
        info = self.folder / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        lines = "\n".join(f"{key} = {value}" for key, value in entry_points.items())
        (info / "entry_points.txt").write_text(f"[studium]\n{lines}\n")
        for path, text in files.items():
            target = self.folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(textwrap.dedent(text).lstrip())
            self.packages.append(path.split("/")[0].removesuffix(".py"))
        importlib.invalidate_caches()

    def topic(
        self,
        slug: str = "sample",
        package: str = "sample_topic",
        distribution: str = "",
        needs: tuple[str, ...] = (),
        order: int = 1,
    ) -> None:
        """Install a whole little topic."""
        self.install(
            distribution or f"studium-topic-{slug}",
            {slug: package},
            {
                f"{package}/__init__.py": PLUGIN.format(slug=slug, needs=needs, order=order),
                f"{package}/exercises.py": EXERCISES,
                f"{package}/lesson.py": LESSON.format(package=package),
                f"{package}/reference.py": f"from {package}.exercises import merge\n",
                f"{package}/experiment.py": EXPERIMENT,
            },
        )


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], object]], Path]:
    """made_once("site", make) → a folder that the processes of pytest-xdist share, filled once by make(folder).

    It is only to be read or copied.
    """
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def made(name: str, make: Callable[[Path], object]) -> Path:
        folder, done = shared / name, shared / f"{name}.done"
        with FileLock(shared / f"{name}.lock"):
            if not done.exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                make(folder)
                done.touch()
        return folder

    return made


@pytest.fixture(scope="session")
def described_topics(made_once: Callable[..., Path]) -> Path:
    """A folder in which what is read of topics stays for the session: each of our topics is read once."""
    return made_once("topics", lambda folder: None)


@pytest.fixture(scope="session")
def new_data_folder(described_topics: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """new_data_folder() → an empty folder for a learner's state, with what is known of topics."""
    parent = tmp_path_factory.mktemp("data")

    def make() -> Path:
        folder = Path(tempfile.mkdtemp(dir=parent))  # pytest's own looks through all folders for the next number
        (folder / "topics").symlink_to(described_topics)
        return folder

    return make


@pytest.fixture(scope="session", autouse=True)
def shared_data(new_data_folder: Callable[[], Path]) -> Iterator[None]:
    """Let what fixtures of a module or session start have a state of its own, never the real one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STUDIUM_DATA", str(new_data_folder()))
        yield


@pytest.fixture(scope="session")
def all_described(described_topics: Path, shared_data: None, made_once: Callable[..., Path]) -> Path:
    """`described_topics` with all of our topics: what starts with a list of the lessons need not read them again."""
    from studium.catalogue.catalogue import load_catalogue
    from studium.desk.describing import descriptions

    made_once("all-described", lambda folder: descriptions(load_catalogue()))
    return described_topics


@pytest.fixture(autouse=True)
def data_folder(new_data_folder: Callable[[], Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the learner's state: a fresh one for each test, never the real one."""
    folder = new_data_folder()
    monkeypatch.setenv("STUDIUM_DATA", str(folder))
    return folder


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """An empty site folder, first on the path of this process and of its children."""
    site = Site(tmp_path / "site")
    site.folder.mkdir()
    monkeypatch.syspath_prepend(str(site.folder))
    monkeypatch.setenv("PYTHONPATH", str(site.folder), prepend=os.pathsep)
    yield site
    for name in list(sys.modules):
        if name.split(".")[0] in site.packages:
            del sys.modules[name]


@pytest.fixture
def sample(site: Site) -> Site:
    """A site with the sample topic installed."""
    site.topic()
    return site


@pytest.fixture
def studium(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """studium("topics", "--json") → (exit code, standard output, standard error), run in this process."""
    from studium.cli import run as run_command

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["studium", *arguments])
        monkeypatch.setenv("COLUMNS", "200")
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            run_command()
        out, err = capsys.readouterr()
        return int(stop.value.code or 0), out, err

    return run
