"""What Binder would build of this repository, and that it opens: without Docker, by repo2docker's own library."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.children import child

ROOT = Path(__file__).parents[2]
CONDA_NAMES = {"torch": "pytorch-cpu"}  # conda-forge calls the build for CPUs so


def wanted() -> set[str]:
    """The dependencies of pyproject.toml, with those of our topics, by conda-forge's names."""
    file = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    project = file["project"]
    wanted = [
        *project["dependencies"],
        *project["optional-dependencies"]["topics"],
        *file["build-system"]["requires"],
    ]
    split = [re.fullmatch(r"([\w.-]+)(.*)", line) for line in wanted]
    return {CONDA_NAMES.get(found[1], found[1]) + found[2] for found in split if found}


def environment() -> list[str]:
    yaml = pytest.importorskip("ruamel.yaml").YAML(typ="safe")
    found = yaml.load(ROOT / "binder" / "environment.yml")["dependencies"]
    by_pip = next(item["pip"] for item in found if isinstance(item, dict))  # what conda-forge does not have
    return [*by_pip, *(item for item in found if isinstance(item, str))]


@pytest.fixture
def buildpack(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The way in which repo2docker would build this repository."""
    app = pytest.importorskip("repo2docker.app").Repo2Docker()
    monkeypatch.chdir(ROOT)
    packs = (pack(base_image=app.base_image) for pack in app.buildpacks)
    chosen = next(pack for pack in packs if pack.detect())
    chosen.platform = "linux/amd64"
    return chosen


def test_the_environment_asks_for_what_the_package_needs_and_for_python_and_pip():
    assert set(environment()) - {"pip"} == wanted() | {"python=3.11"}


def test_binder_takes_the_files_in_its_folder_and_not_the_package_at_the_root(buildpack):
    assert type(buildpack).__name__ == "CondaBuildPack"
    assert buildpack.binder_dir == "binder"
    assert buildpack.python_version == "3.11"
    assert buildpack.get_post_build_scripts() == ["binder/postBuild"]
    assert buildpack.get_start_script() == "${REPO_DIR}/binder/start"


def test_the_image_installs_the_environment_before_it_runs_the_last_step(buildpack):
    recipe = buildpack.render()
    assert recipe.index('--file "binder/environment.yml"') < recipe.index("RUN ./binder/postBuild")
    assert 'ENV R2D_ENTRYPOINT="${REPO_DIR}/binder/start"' in recipe


def test_the_scripts_can_be_run():
    for script in ["postBuild", "start"]:
        assert os.access(ROOT / "binder" / script, os.X_OK)


def test_a_session_gets_as_many_threads_as_it_has_cores():
    for limit, threads in [("1.0", "1"), ("2", "2"), ("0.5", "1"), (None, "1")]:
        environment = {
            name: value for name, value in os.environ.items() if name not in ("CPU_LIMIT", "OMP_NUM_THREADS")
        }
        environment |= {"CPU_LIMIT": limit} if limit else {}
        command = [str(ROOT / "binder" / "start"), "printenv", "OMP_NUM_THREADS"]
        shown = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        assert shown.stdout.strip() == threads


@pytest.mark.heavy
@pytest.mark.browser
def test_the_steps_of_the_build_give_a_lab_that_opens_a_lesson(tmp_path):
    """Replays the image's steps in a clean environment: the same packages by pip, postBuild, start, and the link."""
    playwright = pytest.importorskip("playwright.sync_api")
    home, prefix = tmp_path / "home", tmp_path / "notebook"
    copy_tracked(home)
    subprocess.run([sys.executable, "-m", "venv", str(prefix)], check=True)
    pip_names = {conda: pip for pip, conda in CONDA_NAMES.items()}
    needed = [re.sub(r"^[\w-]+", lambda name: pip_names.get(name[0], name[0]), line) for line in wanted()]
    subprocess.run([str(prefix / "bin/pip"), "install", "--quiet", *sorted(needed)], check=True)
    path = f"{prefix / 'bin'}{os.pathsep}{os.environ['PATH']}"
    inside = {"PATH": path, "HOME": str(home), "NB_PYTHON_PREFIX": str(prefix), "JUPYTER_TOKEN": "for-tests-alone"}
    subprocess.run(["./binder/postBuild"], cwd=home, env=inside, check=True)
    assert (prefix / "share/jupyter/lab/settings/overrides.json").is_file()
    lab = ["jupyter", "lab", "--no-browser", "--allow-root", "--ServerApp.port=8899", "--ServerApp.port_retries=0"]
    with child(["./binder/start", *lab], cwd=home, env=inside), playwright.sync_playwright() as driver:
        wait_for("http://127.0.0.1:8899/api/status?token=for-tests-alone")
        launched = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = launched.new_page()
        page.goto("http://127.0.0.1:8899/lab/tree/workspace/lora.ipynb?token=for-tests-alone")
        page.get_by_role("heading", name="LoRA: low-rank adaptation", exact=True).first.wait_for(timeout=90_000)
        launched.close()


def copy_tracked(folder: Path) -> None:
    """Copy what a clone of the repository holds."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in filter(None, listed.stdout.split("\0")):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target)


def wait_for(address: str) -> None:
    for _ in range(300):
        try:
            urllib.request.urlopen(address, timeout=1).close()
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise AssertionError(f"{address} did not answer within a minute")
