"""The wheel for student machines: what is in it, what is not, and that it works."""

import base64
import csv
import hashlib
import io
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("wheel")

from studium.errors import ExerciseError, StudiumError
from studium_graders.assignments.student_wheel import student_version, write_student_wheel
from studium_graders.course.public_exercises import public_source

from tests.folders import as_folder

TOPIC = Path(__file__).parent / "classroom_topic"
ENTRY_POINTS = "[console_scripts]\nStudium = studium.cli:main\n\n[studium]\ncounting = classroom_topic\n"


@pytest.fixture
def make_wheel(tmp_path: Path) -> Callable[..., Path]:
    """make_wheel({"graders/x.py": "…"}) → a wheel of the topic of these tests, with more files in it."""

    def make(more: dict[str, str | bytes] | None = None, entry_points: str = ENTRY_POINTS) -> Path:
        wheel = tmp_path / "classroom_topic-1.0-py3-none-any.whl"
        info = "classroom_topic-1.0.dist-info"
        files = {f"classroom_topic/{path.name}": path.read_text("utf-8") for path in TOPIC.glob("*.py")}
        files |= {
            f"{info}/METADATA": "Metadata-Version: 2.1\nName: classroom-topic\nVersion: 1.0\n\nVersion: of the text\n",
            f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            f"{info}/entry_points.txt": entry_points,
            f"{info}/RECORD": "",
        }
        with zipfile.ZipFile(wheel, "w") as archive:
            for name, text in (files | (more or {})).items():
                archive.writestr(name, text)
        return wheel

    return make


def read(wheel: Path) -> dict[str, str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name).decode("utf-8") for name in archive.namelist()}


def test_version_metadata_and_folder_agree(make_wheel: Callable, tmp_path: Path) -> None:
    wheel = write_student_wheel(make_wheel(), tmp_path / "out")
    assert wheel.name == "classroom_topic-1.0+student-py3-none-any.whl"
    info = "classroom_topic-1.0+student.dist-info"
    files = read(wheel)
    assert {name.split("/")[0] for name in files} == {"classroom_topic", info}
    assert "Version: 1.0+student\n\nVersion: of the text" in files[f"{info}/METADATA"]


def test_what_lessons_need_is_installed_with_the_wheel_and_other_extras_stay_extras(
    make_wheel: Callable, tmp_path: Path
) -> None:
    needs = "Name: x\nVersion: 1.0\nRequires-Dist: torch>=2.9; extra == 'topics'\nRequires-Dist: gpu; extra == 'gpu'\n"
    wheel = make_wheel({"classroom_topic-1.0.dist-info/METADATA": needs})
    metadata = read(write_student_wheel(wheel, tmp_path / "out"))["classroom_topic-1.0+student.dist-info/METADATA"]
    assert metadata.splitlines()[2:] == ["Requires-Dist: torch>=2.9", "Requires-Dist: gpu; extra == 'gpu'"]


def test_the_record_lists_every_file_with_its_hash(make_wheel: Callable, tmp_path: Path) -> None:
    files = read(write_student_wheel(make_wheel(), tmp_path / "out"))
    record = next(text for name, text in files.items() if name.endswith("RECORD"))
    rows = {row[0]: row[1:] for row in csv.reader(io.StringIO(record))}
    assert set(rows) == set(files)
    for name, (digest, size) in rows.items():
        if not name.endswith("RECORD"):
            expected = base64.urlsafe_b64encode(hashlib.sha256(files[name].encode()).digest()).rstrip(b"=").decode()
            assert (digest, int(size)) == (f"sha256={expected}", len(files[name].encode()))


def test_references_tests_graders_and_the_course_server_are_left_out(make_wheel: Callable, tmp_path: Path) -> None:
    more = {
        "classroom_topic/test_counting.py": "",
        "classroom_topic/more/reference.py": "",
        "studium_graders/plugin.py": "",
        "studium_classroom/plugin.py": "",
        "other/reference.py": "not a topic's",
        "classroom_topic/__init__.py": "raise SystemExit('ran')\n",  # nothing of the wheel runs
        "studium/exercises/model.py": "HOST = 1\n",  # the host is no topic
        "studium/lesson.py": "",
    }
    entry_points = ENTRY_POINTS + "graders = studium_graders.plugin\nclassroom = studium_classroom.plugin\n"
    files = read(write_student_wheel(make_wheel(more, entry_points), tmp_path / "out"))
    modules = sorted(name for name in files if name.endswith(".py"))
    assert modules == [
        "classroom_topic/__init__.py",
        "classroom_topic/exercises.py",
        "classroom_topic/lesson.py",
        "other/reference.py",
        "studium/exercises/model.py",
        "studium/lesson.py",
    ]
    assert files["studium/exercises/model.py"] == "HOST = 1\n"
    points = next(text for name, text in files.items() if name.endswith("entry_points.txt"))
    assert "studium_graders" not in points
    assert "studium_classroom" not in points
    assert "counting = classroom_topic" in points
    assert "Studium = studium.cli:main" in points


def test_the_command_names_the_file_that_it_wrote(make_wheel: Callable, tmp_path: Path, studium: Callable) -> None:
    code, out, _ = studium("student-wheel", str(make_wheel()), "--out", str(tmp_path / "out"), "--no-hints")
    assert (code, out.strip()) == (0, str(tmp_path / "out" / "classroom_topic-1.0+student-py3-none-any.whl"))
    assert "go on" not in read(Path(out.strip()))["classroom_topic/exercises.py"]


CHECK = """
from studium import open_lesson
from studium.catalogue.catalogue import load_catalogue
from studium.notebooks.editions import compile_lesson
catalogue = load_catalogue()
lesson = open_lesson("counting")
def total(values):
    return 1.0
print(repr(lesson.check(total)))
print(repr(lesson.check("distance")))
print(repr(lesson.hint("total")))
print(compile_lesson(catalogue["counting"], catalogue.manager).cells[1].source)
"""


def test_what_is_no_wheel_gets_one_sentence(tmp_path: Path) -> None:
    for name in ("nothing.whl", "topic-1.0.tar.gz"):
        (tmp_path / name).write_text("no zip")
        with pytest.raises(StudiumError, match="a wheel is needed, such as"):
            write_student_wheel(tmp_path / name, tmp_path)


def test_a_damaged_wheel_gets_one_sentence_and_writes_nothing(make_wheel: Callable, tmp_path: Path) -> None:
    for more, damage, why in (
        ({"other/lesson.py": "", "other/exercises.py": b"# caf\xe9"}, (b"", b""), "'utf-8' codec"),
        ({"damaged.py": "hello"}, (b"hello", b"jello"), "Bad CRC-32 for file 'damaged.py'"),
    ):
        wheel = make_wheel(more)
        wheel.write_bytes(wheel.read_bytes().replace(*damage))
        with pytest.raises(StudiumError, match=rf"must be a readable wheel: {why}.*; build it again$"):
            write_student_wheel(wheel, tmp_path / "out")
    with pytest.raises(StudiumError, match=r"must be a readable wheel: File contains no section headers\."):
        write_student_wheel(make_wheel(entry_points="counting = classroom_topic\n"), tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_topic_that_has_no_public_edition_writes_nothing(make_wheel: Callable, tmp_path: Path) -> None:
    wheel = make_wheel({"other/lesson.py": "", "other/exercises.py": SECRET + "\ndef f():\n    return 1\n"})
    with pytest.raises(ExerciseError, match=r"f in other/exercises\.py needs ### BEGIN SOLUTION"):
        write_student_wheel(wheel, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_version_that_has_a_local_part_keeps_it() -> None:
    assert (student_version("1.0"), student_version("1.0+gpu")) == ("1.0+student", "1.0+gpu.student")


SECRET = "from studium import exercise as task\n\n\n@task(points=1, minutes=1)"
SOLVED = "### BEGIN SOLUTION\n    return numpy.ones(3)\n    ### END SOLUTION\n"


def test_the_decorator_is_known_by_its_import_and_imports_of_solutions_stay() -> None:
    found = public_source(f"import numpy, os\n{SECRET}\ndef f(x):\n    {SOLVED}", "exercises.py")
    assert "import numpy\n" in found
    assert "@task(points=1, minutes=1, public=True)\ndef f(x):\n    # YOUR CODE HERE\n" in found
    assert "ones" not in found
    assert "os" not in found.split("import numpy")[1].split("from")[0]


def test_a_decorator_below_the_registering_one_stays_in_the_public_edition() -> None:
    found = public_source(f"import functools\n{SECRET}\n@functools.cache\ndef f(x):\n    {SOLVED}", "exercises.py")
    assert "public=True)\n@functools.cache\ndef f(x):\n    # YOUR CODE HERE\n" in found


def test_what_is_public_may_not_use_what_is_left_out() -> None:
    source = f"SIZE = 3\n{SECRET}\ndef f(x=SIZE):\n    {SOLVED}"
    with pytest.raises(ExerciseError, match=r"exercises\.py may use only its imports in its public parts: 'SIZE' is"):
        public_source(source, "exercises.py")


NO_MARKERS = f"{SECRET}\ndef total():\n    return 1\n"
EDIT = {"total": "running_secret += value"}


@pytest.fixture
def in_folder(make_wheel: Callable, tmp_path: Path) -> Callable[..., Path]:
    """in_folder({"exercises/x.py": "…"}) → the same wheel with the exercises in a folder; None leaves a file out."""

    def make(change: dict[str, str | None] | None = None) -> Path:
        wheel = make_wheel()
        files = read(wheel)
        folder = as_folder(files.pop("classroom_topic/exercises.py"), EDIT) | (change or {})
        files |= {f"classroom_topic/{name}": text for name, text in folder.items() if text is not None}
        with zipfile.ZipFile(wheel, "w") as archive:
            for name, text in files.items():
                archive.writestr(name, text)
        return wheel

    return make


@pytest.mark.parametrize("form", ["make_wheel", pytest.param("in_folder", marks=pytest.mark.heavy)])
def test_check_hint_and_setup_cell_work_on_a_student_machine(
    form: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    with zipfile.ZipFile(write_student_wheel(request.getfixturevalue(form)(), tmp_path / "out")) as archive:
        archive.extractall(tmp_path / "installed")
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "installed")}
    command = [sys.executable, "-c", CHECK]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "Not right yet: total, 0 of 1 point in the tests you can see" in done.stdout
    assert "is zero for no values: expected 0, got 1" in done.stdout
    assert "Not attempted yet: distance" in done.stdout
    assert "Start from zero and go on." in done.stdout
    assert "import math" in done.stdout  # which the solution of distance needs


def test_a_folder_of_exercises_has_a_public_edition_of_each_listed_file_and_nothing_else(
    in_folder: Callable, tmp_path: Path
) -> None:
    more = {
        "exercises/_shared.py": "secret = 1\n",
        "exercises/unlisted.py": "secret = 1\n",
        "exercises/deeper/secret.py": "secret = 1\n",
        "exercises/__pycache__/total.cpython-311.pyc": "secret",
        "exercises/answers.json": "{}",
    }
    files = read(write_student_wheel(in_folder(more), tmp_path / "out"))
    public = {name: text for name, text in files.items() if "exercises" in name and "RECORD" not in name}
    names = ("__init__", "total", "distance")
    assert set(public) == {f"classroom_topic/exercises/{name}.py" for name in names}
    for word in ("secret", "BEGIN SOLUTION", "hidden", "mistake", "misconception", "also_correct", "_shared"):
        assert word not in "".join(public.values()), word
    assert "exercises = (total, distance,)" in public["classroom_topic/exercises/__init__.py"]
    assert "raise NotImplementedError()" in public["classroom_topic/exercises/total.py"]


def test_what_is_public_of_a_folder_is_what_is_public_of_one_file(
    make_wheel: Callable, in_folder: Callable, tmp_path: Path
) -> None:
    single = read(write_student_wheel(make_wheel(), tmp_path / "single"))["classroom_topic/exercises.py"]
    folder = read(write_student_wheel(in_folder(), tmp_path / "folder"))
    parts = single.split("\n\n\n")[1:]
    for name in ("total", "distance"):
        own = folder[f"classroom_topic/exercises/{name}.py"].split("\n\n\n")[1:]
        assert [part.strip() for part in own] == [
            part.strip() for part in parts if f"def {name}(" in part or part.startswith(f"@{name}.")
        ]


WITHOUT_EDITION: list[tuple[dict[str, str | None], str]] = [
    ({"exercises.py": "x = 1\n"}, r"classroom_topic must have exercises\.py or the folder exercises: it has both"),
    ({"exercises/__init__.py": None}, r"exercises/__init__\.py needs one tuple exercises = \(…\)"),
    ({"exercises/total.py": NO_MARKERS}, r"total in .*total\.py needs ### BEGIN SOLUTION"),
    ({"exercises/__init__.py": "exercises = tuple(all_of_them)"}, r"needs one tuple"),
    ({"exercises/__init__.py": "exercises = (total, 3)"}, r"needs one tuple"),
    ({"exercises/__init__.py": "exercises = ("}, r"exercises/__init__\.py must be Python: '\(' was never closed"),
    ({"exercises/total.py": None}, r"lists total, which must be in exercises/total\.py, but that file does not exist"),
    ({"exercises/total.py": "x = 1\n"}, r"exercises/total\.py must define the exercise total, but does not"),
]


def test_a_folder_without_a_public_edition_writes_nothing(in_folder: Callable, tmp_path: Path) -> None:
    for change, why in WITHOUT_EDITION:
        with pytest.raises(ExerciseError, match=why):
            write_student_wheel(in_folder(change), tmp_path / "out")
        assert list((tmp_path / "out").iterdir()) == []


def test_what_is_public_of_a_file_imports_no_other_exercise() -> None:
    head = "import numpy\nfrom topic.exercises.g import g\nfrom .g import h\nfrom ..exercises.g import i\n"
    task = f"{SECRET}\ndef f(x):\n    ### BEGIN SOLUTION\n    return numpy.ones(g(h(i(x))))\n    ### END SOLUTION\n"
    found = public_source(head + task, "exercises/f.py", in_folder=True)
    assert re.findall("^(?:from|import) .*", found, re.MULTILINE) == [
        "import numpy",
        "from studium import exercise as task",
    ]
    with pytest.raises(ExerciseError, match=r"exercises/f\.py may use only its imports in its public parts: 'g' is"):
        public_source(head + task.replace("f(x)", "f(x=g)"), "exercises/f.py", in_folder=True)
