"""What a student's process has imported before it is forked: what everybody was told to import, and no secret."""

import subprocess
import sys

import msgspec
import pytest
from studium_graders.engine.judge.judge_job import JudgeSetup
from studium_graders.engine.material.assignment import Cell, Material, NotebookMaterial
from studium_graders.engine.processes import public_imports as public_imports_module
from studium_graders.engine.processes.public_imports import import_all, public_imports
from studium_graders.engine.processes.zygote import common_ancestor
from studium_graders.engine.sandbox import probe
from studium_graders.engine.supervision import engine as engine_module
from studium_graders.engine.supervision.engine import Engine


def material(*cells: Cell) -> Material:
    return Material("ps1", (NotebookMaterial("book", cells, b"{}"),))


def test_given_cells_and_stubs_are_read_and_neither_tests_nor_solutions() -> None:
    found = public_imports(
        material(
            Cell("a", "given", "import json.decoder as d, csv\nfrom email import message"),
            Cell("b", "answer", "def f():\n    import wave", reference="import secret_of_the_solution"),
            Cell("c", "test", "import secret_of_the_test"),
            Cell("d", "given", "from . import neighbour\n%matplotlib inline"),
        )
    )
    assert found == ("json.decoder", "csv", "email", "email.message", "wave")


@pytest.mark.parametrize(
    "source",
    [
        "%matplotlib inline\nimport wave",
        "if True:\n    %time import csv\n    import wave",
        "%%time\nimport wave",
        "!pip install x\nimport wave",
        "x = (7\n% 2)\nimport wave",
    ],
)
def test_lines_for_ipython_hide_no_import(source: str) -> None:
    assert "wave" in public_imports(material(Cell("a", "given", source)))


def test_what_a_topic_needs_for_its_figures_is_read_from_its_files_and_its_exercises_are_not(tmp_path, monkeypatch):
    package = tmp_path / "topic_of_tests"
    for name, text in {
        "__init__": "",
        "figures": "import plotly.graph_objects\nfrom . import experiment\nfrom .exercises import solve",
        "experiment": "from .deep.down import x\nfrom .... import beyond",
        "deep/__init__": "from . import down",
        "deep/down": "import wave",
        "exercises": "import secret_of_the_solution",
    }.items():
        (package / f"{name}.py").parent.mkdir(exist_ok=True)
        (package / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(public_imports_module, "topic_packages", lambda: frozenset({"topic_of_tests"}))
    found = public_imports(material(Cell("a", "given", "from topic_of_tests import figures")))
    assert {"plotly.graph_objects", "wave"} < set(found)
    assert "secret_of_the_solution" not in found
    assert {name for name in sys.modules if name.startswith("topic_of_tests")} == {"topic_of_tests"}


def test_what_is_imported_on_demand_is_imported_and_what_is_not_there_passes(tmp_path, monkeypatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "lazy_one.py").write_text("def __getattr__(name):\n    import lazy_two\n    return lazy_two\n")
    (tmp_path / "lazy_two.py").write_text("")
    import_all(["lazy_one", "lazy_one.thing", "never_heard_of", "json.never_heard_of"])
    assert "lazy_two" in sys.modules


def test_a_topic_is_never_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "studium_topics.lora.reference", raising=False)
    import_all(["studium_topics.lora.reference"])
    assert "studium_topics.lora.reference" not in sys.modules


@pytest.mark.sample(1)
@pytest.mark.parametrize("body", ["import threading, time\nthreading.Thread(target=time.sleep, args=(60,)).start()\n",
                                  "import os\nos._exit(1)\n"])  # fmt: skip
def test_a_library_that_makes_a_process_unfit_is_left_to_the_student(
    tmp_path, monkeypatch, body, hand_in, material, ancestor
):
    tmp_path.chmod(0o755)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "unfit_library.py").write_text(body)
    book = material.notebooks[0]
    cells = (msgspec.structs.replace(book.cells[0], source="import torch\nimport unfit_library"), *book.cells[1:])
    other = msgspec.structs.replace(material, notebooks=(msgspec.structs.replace(book, cells=cells),))
    with Engine(other, probe().level, trust=True, ancestor=ancestor) as engine:
        assert engine.grade(hand_in()).score == 4


def test_what_everybody_imports_is_imported_once_for_the_judge_too(monkeypatch, tmp_path) -> None:
    setups = {}
    monkeypatch.setattr(engine_module, "Zygote", lambda role, setup, *_, **__: setups.setdefault(role, setup))
    cells = Cell("a", "given", "%matplotlib inline\nimport wave"), Cell("t", "test", "import chunk")
    engine = Engine(material(*cells), probe().level, trust=True, ancestor=common_ancestor())
    engine.__exit__(None, None, None)  # it has started nothing
    setup = msgspec.msgpack.decode(setups["studium_graders.engine.judge.judge_main"], type=JudgeSetup)
    assert setup.imports == ("wave",)
    ready = msgspec.msgpack.encode(msgspec.structs.replace(setup, folder=str(tmp_path)))
    code = "import sys; from studium_graders.engine.judge.judge_main import prepare; prepare(sys.stdin.buffer.read())"
    shown = subprocess.run(
        [sys.executable, "-c", f"{code}; print('wave' in sys.modules)"], input=ready, capture_output=True, check=True
    )
    assert shown.stdout == b"True\n"
