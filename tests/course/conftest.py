"""Two topics with everything that a page can show, and a site that was built of them."""

import importlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from studium.catalogue.catalogue import Catalogue, load_catalogue

HERE = Path(__file__).parent


@contextmanager
def water_topics(folder: Path) -> Iterator[Catalogue]:
    """Install both topics in ``folder``, for this process and its children."""
    for name in ("waves", "tides"):
        shutil.copytree(HERE / f"{name}_topic", folder / f"{name}_topic", ignore=shutil.ignore_patterns("__pycache__"))
        info = folder / f"studium_topic_{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: studium-topic-{name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[studium]\n{name} = {name}_topic\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        patch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
        importlib.invalidate_caches()
        yield load_catalogue()


@pytest.fixture
def measured_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let experiments be measured in this process: one of their own takes seconds to import torch."""

    def results(work: Callable[[Callable[[object], None]], None], _: object) -> list[object]:
        told: list[object] = []
        work(told.append)
        return told

    monkeypatch.setattr("studium.experiments.measuring.results", results)


@pytest.fixture(scope="session")
def water_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a site with the waves, which were run, and the tides, which were not."""
    from studium.site.building import Options, Site

    folder = tmp_path_factory.mktemp("water") / "site"
    with water_topics(tmp_path_factory.mktemp("topics")) as catalogue:
        written = Site(catalogue, folder, Options(profile="smoke")).build([catalogue["waves"]])
        assert written.all_problems == []
        Site(catalogue, folder, Options(run=False)).build([catalogue["tides"]])
    return folder
