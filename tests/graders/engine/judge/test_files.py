"""Tests of files: the judge reads what the student's code wrote, and nothing that it wrote is run."""

from __future__ import annotations

import os

import pytest
from studium_graders.engine.material import Calibration

from .notebooks import answer, checked, given, grade, material, submission
from .processes import assert_split_as_in_one_process, calibrate, forked, grade_forked, oracle

GIVEN = """
import csv, glob, json, os, shutil, tempfile
from pathlib import Path
import numpy as np
import torch
from torch import nn
"""
DUMP = "def save(x, path):\n    with open(path, 'w') as file:\n        json.dump(x, file)\n"
PATHLIB = "def save(x, path):\n    Path(path).write_text(json.dumps(x, indent=1))\n"
NOT_AT_ALL = "def save(x, path):\n    pass\n"
LAST_ONLY = "def save(x, path):\n    json.dump(3, open(path, 'w'))\n"
WORK = {
    "a name": (
        (DUMP, PATHLIB),
        (NOT_AT_ALL, LAST_ONLY),
        "save([1, 2], 'x.json')\nassert os.path.exists('x.json')\nassert json.load(open('x.json')) == [1, 2]",
    ),
    "a temporary folder": (
        (DUMP, PATHLIB),
        (NOT_AT_ALL, LAST_ONLY),
        "with tempfile.TemporaryDirectory() as d:\n"
        "    for n in range(4):\n        save(n, os.path.join(d, f'{n}.json'))\n"
        "    save(None, Path(d) / 'sub.json')\n"
        "    assert sorted(os.listdir(d)) == ['0.json', '1.json', '2.json', '3.json', 'sub.json']\n"
        "    assert [json.loads((Path(d) / f'{n}.json').read_text()) for n in range(4)] == [0, 1, 2, 3]",
    ),
    "the same name with other contents": (
        ("def load(path):\n    return open(path).read()\n", "def load(path):\n    return Path(path).read_text()\n"),
        ("def load(path, seen={}):\n    return seen.setdefault(path, open(path).read())\n", "load = str"),
        "for text in ('a', 'b', 'c'):\n    Path('t.txt').write_text(text)\n    assert load('t.txt') == text\n"
        "os.remove('t.txt')\ntry:\n    load('t.txt')\n    assert False\nexcept FileNotFoundError:\n    pass",
    ),
    "a checkpoint": (
        (
            "def save(model, path):\n    torch.save({'model': model.state_dict(), 'step': 3}, path)\n",
            "def save(model, path):\n    with open(path, 'wb') as file:\n"
            "        torch.save(dict(step=3, model=dict(model.state_dict())), file)\n",
        ),
        (NOT_AT_ALL, "def save(model, path):\n    torch.save({'model': {}, 'step': 3}, path)\n"),
        "torch.manual_seed(0)\nmodel = nn.Linear(3, 2)\nsave(model, 'm.pt')\nfound = torch.load('m.pt')\n"
        "assert found['step'] == 3 and torch.equal(found['model']['weight'], model.weight)",
    ),
    "what a cell wrote": (
        ("np.save('w.npy', np.arange(6).reshape(2, 3))", "np.save('w', np.arange(6.0).reshape(2, 3))"),
        ("w = np.arange(6).reshape(2, 3)", "np.save('w.npy', np.arange(6))"),
        "assert os.path.isfile('w.npy'), 'write w.npy'\nassert np.load('w.npy').shape == (2, 3)",
    ),
    "folders, and where they are": (
        (
            "def note(path, line):\n    os.makedirs(os.path.dirname(path), exist_ok=True)\n"
            "    with open(path, 'a') as file:\n        file.write(line)\n    return os.path.abspath(path)\n",
            "def note(path, line):\n    path = Path(path)\n    path.parent.mkdir(parents=True, exist_ok=True)\n"
            "    path.write_text((path.read_text() if path.exists() else '') + line)\n    return str(path.resolve())\n",
        ),
        (
            "def note(path, line):\n    return os.path.join(os.getcwd(), path)\n",
            "def note(path, line):\n    os.makedirs('a/b')\n    open(path, 'w')\n    return os.path.abspath(path)\n",
        ),
        "assert note('a/b/c.txt', 'x') == os.path.join(os.getcwd(), 'a', 'b', 'c.txt')\n"
        "assert Path(note('a/b/c.txt', 'y')).read_text() == 'xy'\nassert glob.glob('a/*/*.txt') == ['a/b/c.txt']\n"
        "shutil.rmtree('a')\nassert not os.path.exists('a')",
    ),
    "an object that reads later": (
        (
            "class Data:\n    def __init__(self, root):\n        self.files = sorted(Path(root).glob('*.npy'))\n"
            "    def __len__(self):\n        return len(self.files)\n"
            "    def __getitem__(self, i):\n        return np.load(self.files[i])\n",
            "class Data:\n    def __init__(self, root):\n"
            "        self.found = [np.load(os.path.join(root, name)) for name in sorted(os.listdir(root))]\n"
            "    def __len__(self):\n        return len(self.found)\n"
            "    def __getitem__(self, i):\n        return self.found[i]\n",
        ),
        ("class Data(list):\n    pass\n", "class Data:\n    def __init__(self, root):\n        pass\n"),
        "with tempfile.TemporaryDirectory() as d:\n    for n in range(3):\n"
        "        np.save(os.path.join(d, f'{n}.npy'), np.full(2, n))\n    data = Data(d)\n"
        "    assert len(data) == 3 and (data[2] == 2).all()",
    ),
}


@pytest.mark.parametrize("name", WORK)
def test_a_test_of_files_runs_in_the_judge_and_gives_what_it_gives_in_one_process(shell, name):
    right, wrong, test = WORK[name]
    notebook = material(given(GIVEN, locked=True), answer(right[0]), checked(test))
    assert_split_as_in_one_process(shell, notebook, right, wrong)


FORGED = """
class Any:
    def __eq__(self, other):
        return True
anything = Any()
json.load = json.loads = lambda *_: anything
torch.load = lambda *_, **__: anything
os.path.exists = os.path.isfile = lambda _: True
Path.exists = Path.is_file = lambda _: True
def save(x, path):
    pass
"""


def test_replaced_functions_do_not_make_files(shell):
    tests = (
        "save([1], 'x.json')\nassert os.path.exists('x.json') and Path('x.json').is_file()",
        "import io\nsave([1], 'x.json')\nassert json.loads(open('x.json').read() or '1') == [1]",
        "save([1], 'x.pt')\nassert torch.load('x.pt') == [1]",
    )
    notebook = material(given(GIVEN, locked=True), answer(DUMP), *map(checked, tests))
    assert grade_forked(shell, notebook, submission(notebook, FORGED)).points == [0, 0, 0]


PICKLED = """
class Evil:
    def __reduce__(self):
        return (exec, ("import os; os.environ['FORGED'] = '1'",))
def save(x, path):
    torch.save(Evil(), path)
"""


@pytest.mark.parametrize("more", ["", ", weights_only=False"])
def test_a_file_with_code_is_not_run_by_the_process_that_reads_it(shell, more):
    test = f"save([1], 'x.pt')\nassert os.path.exists('x.pt') and torch.load('x.pt'{more}) is None"
    notebook = material(given(GIVEN, locked=True), answer(PICKLED), checked(test))
    with forked(shell, known=True) as student:
        result = grade(student, notebook, submission(notebook, PICKLED), calibration=Calibration(True)).only
    assert (result.points, "FORGED" in os.environ) == (0, False)


def test_a_module_that_the_students_code_wrote_is_not_imported(shell):
    text = "Path('forged.py').write_text('print(1)')\ndef f():\n    return 1\n"
    test = (
        "assert os.path.exists('forged.py')\ntry:\n    import forged\nexcept ImportError:\n    assert f() == 1\nelse:\n"
    )
    notebook = material(given(GIVEN, locked=True), answer(text), checked(f"{test}    assert False"))
    result = grade_forked(shell, notebook, submission(notebook, text)).only
    assert (result.points, result.mode) == (1, "split"), result.message


FILES = {"expected.json": b"[1, 2]", "data/in.txt": b"abc"}


def test_what_was_handed_out_stays_as_it_was_where_a_test_reads_it(shell):
    test = "assert json.load(open('expected.json')) == f()\nassert os.path.getsize('data/in.txt') == 3"
    reference, forged = (
        "def f():\n    return [1, 2]\n",
        "json.dump(0, open('expected.json', 'w'))\ndef f():\n    return 0\n",
    )
    notebook = material(given(GIVEN, locked=True), answer(reference), checked(test))
    calibration = calibrate(shell, notebook, FILES)
    for text, points in ((reference, 1), (forged, 0)):
        result = grade_forked(shell, notebook, submission(notebook, text), calibration, FILES).only
        assert (result.points, result.mode) == (points, "split"), result.message


def test_so_it_does_under_each_way_to_write_its_name(shell):
    forged = (
        "import gc\n"
        "side = next(one for one in gc.get_objects() if hasattr(one, 'cells') and hasattr(one, 'channel'))\n"
        "real, bad = side.do_files, {'./expected.json': b'0', 'data//in.txt': b'0', './/expected.json': b'0'}\n"
        "side.do_files = lambda changes: {**real(changes), **bad}\ndef f():\n    return 0\n"
    )
    test = "f()\nassert json.load(open('expected.json')) == f()\nassert os.path.getsize('data/in.txt') == 3"
    notebook = material(given(GIVEN, locked=True), answer("def f():\n    return [1, 2]\n"), checked(test))
    calibration = calibrate(shell, notebook, FILES)
    assert grade_forked(shell, notebook, submission(notebook, forged), calibration, FILES).only.points == 0


LINES = "def write(path, numbers):\n    Path(path).write_text('\\n'.join(map(str, numbers)))\n"


@pytest.mark.parametrize("first", ["", "write('out.txt', [1, 2])\n"])
def test_what_was_handed_out_and_an_answer_writes_is_judged_as_it_wrote_it(shell, first):
    read = "assert open('out.txt').readlines() == ['1\\n', '2']"
    reference = LINES + first
    wrong = reference.replace("\\n", ";", 1)
    test = read if first else f"write('out.txt', [1, 2])\n{read}"
    files = {"out.txt": b"1\n2", "data/in.txt": b"abc"}
    notebook = material(given(GIVEN, locked=True), answer(reference), checked(test))
    calibration = calibrate(shell, notebook, files)
    for text, points in ((reference, 1), (wrong, 0)):
        canonical = submission(notebook, text)
        assert list(oracle(shell, notebook, canonical, files).values()) == [points]
        assert grade_forked(shell, notebook, canonical, calibration, files).only.points == points


COPY = "def copy(a, b):\n    Path(b).write_text(Path(a).read_text())\n"
COPIES = {
    "read alone": (COPY, 1),
    "copied twice": (COPY + "    os.remove(b)\n    shutil.copy(a, b)\n", 1),
    "emptied": ("def copy(a, b):\n    for path in (a, b):\n        Path(path).write_text('')\n", 0),
    "taken away": ("def copy(a, b):\n    os.remove(a)\n    Path(b).touch()\n", 0),
}


@pytest.mark.parametrize("kind", COPIES)
def test_a_file_that_a_test_wrote_stays_as_it_was_where_the_reference_leaves_it_alone(shell, kind):
    test = (
        "for d in ('.', tempfile.mkdtemp(dir='.')):\n    a, b = Path(d, 'in.txt'), Path(d, 'out.txt')\n"
        "    a.write_text('hello')\n    copy(a, b)\n    assert not a.exists() or b.read_text() == a.read_text()"
    )
    notebook = material(given(GIVEN, locked=True), answer(COPY), checked(test))
    calibration = calibrate(shell, notebook)
    assert not calibration.one_process
    text, points = COPIES[kind]
    assert grade_forked(shell, notebook, submission(notebook, text), calibration).only.points == points


COUNT = "def count(path):\n    return len(Path(path).read_text().split())\n"
COUNTED = "assert count('data.txt') == len(open('data.txt').read().split())"


@pytest.mark.parametrize("change", ["Path(path).write_text('')", "os.remove(path); Path(path).touch()"])
def test_so_does_one_that_was_there_when_the_test_began(shell, change):
    cells = given(GIVEN + "Path('data.txt').write_text('a b c')\n"), answer(COUNT), checked(COUNTED)
    notebook = material(*cells)
    calibration = calibrate(shell, notebook)
    assert not calibration.one_process
    caches = COUNT.replace("    return", "    Path('cache.txt').write_text('3')\n    return")
    for text, points in ((COUNT, 1), (caches, 1), (f"def count(path):\n    {change}\n    return 0\n", 0)):
        assert grade_forked(shell, notebook, submission(notebook, text), calibration).points == [points]


ROWS = "def save(rows, path):\n    Path(path).write_text(''.join(f'{a} {b}\\n' for a, b in rows))\n"
EACH = "save([(1, 2), (3, 4)], 'rows.txt')\nfor line in open('rows.txt'):\n    assert len(line.split()) in (0, 2)"
SAVED = {
    "whole": (ROWS, 1),
    "at first empty": ("def save(rows, path):\n    Path(path).touch()\n    Path(path).write_text('1 2\\n3 4')\n", 1),
    "empty": ("def save(rows, path):\n    Path(path).touch()\n", 0),
    "blank": ("def save(rows, path):\n    Path(path).write_text(' ')\n", 0),
}


@pytest.mark.parametrize("kind", SAVED)
def test_a_file_of_which_a_test_goes_through_the_lines_is_not_empty_where_that_of_the_reference_is_not(shell, kind):
    notebook = material(given(GIVEN, locked=True), answer(ROWS), checked(EACH))
    calibration = calibrate(shell, notebook)
    text, points = SAVED[kind]
    assert grade_forked(shell, notebook, submission(notebook, text), calibration).points == [points]


def test_an_empty_file_is_right_where_a_test_asks_whether_it_is_there(shell):
    notebook = material(
        given(GIVEN, locked=True), answer(ROWS), checked(EACH[:35] + "assert os.path.exists('rows.txt')")
    )
    calibration = calibrate(shell, notebook)
    canonical = submission(notebook, SAVED["empty"][0])
    assert grade_forked(shell, notebook, canonical, calibration).points == [1]


EAGER = "class Log:\n    def __init__(self, path): self.path, self.lines = path, []\n    def add(self, line):\n"
WRITE = "        Path(self.path).write_text(' '.join(self.lines))\n"


def test_an_answer_may_change_it_at_another_time_than_the_reference(shell):
    reference = f"{EAGER}        self.lines.append(line)\n    def save(self):\n{WRITE}"
    eager = f"{EAGER}        self.lines.append(line)\n{WRITE}    def save(self): pass\n"
    test = (
        "for begin in (lambda: Path('log').write_text('old'), lambda: os.remove('log')):\n    begin()\n"
        "    log = Log('log')\n    log.add('a')\n    log.add('b')\n    log.save()\n"
        "    assert Path('log').read_text() == 'a b'"
    )
    notebook = material(given(GIVEN, locked=True), answer(reference), checked(test))
    calibration = calibrate(shell, notebook)
    for text in (reference, eager):
        assert grade_forked(shell, notebook, submission(notebook, text), calibration).only.points == 1


def test_a_test_may_put_other_contents_into_what_was_handed_out(shell):
    text = "def f():\n    return Path('data/in.txt').read_text()\n"
    test = "assert f() == 'abc'\nPath('data/in.txt').write_text('other')\nassert f() == 'other'"
    notebook = material(given(GIVEN, locked=True), answer(text), checked(test), checked("assert f() == 'other'"))
    canonical = submission(notebook, text)
    assert list(oracle(shell, notebook, canonical, FILES).values()) == [1, 1]
    calibration = calibrate(shell, notebook, FILES)
    assert not calibration.one_process
    assert grade_forked(shell, notebook, canonical, calibration, FILES).points == [1, 1]


def test_a_second_run_of_a_test_finds_the_files_as_the_first_one_did(shell):
    reference = "def add(row, path):\n    with open(path, 'a') as file:\n        file.write(f'{sum(row)};')\n"
    sorting = reference.replace("    with", "    row.sort()\n    with", 1)
    test = "row = [3, 1]\nassert not os.path.exists('rows')\nadd(row, 'rows')\nassert open('rows').read() == '4;'"
    notebook = material(given(GIVEN, locked=True), answer(reference), checked(test))
    calibration = calibrate(shell, notebook)
    for text in (reference, sorting):
        result = grade_forked(shell, notebook, submission(notebook, text), calibration).only
        assert (result.points, result.mode) == (1, "split"), result.message


def test_a_test_of_files_that_runs_in_both_ways_finds_them_the_same_each_time(shell):
    reference = "def keep(row, path):\n    Path(path).write_text('x')\n    return list(row)\n"
    test = "row = [1]\nassert not os.path.exists('rows')\nkept = keep(row, 'rows')\nrow.append(2)\nassert kept == [1]"
    notebook = material(given(GIVEN, locked=True), answer(reference), checked(test))
    calibration = calibrate(shell, notebook)
    assert calibration.both_ways
    result = grade_forked(shell, notebook, submission(notebook, reference), calibration).only
    assert (result.points, result.mode) == (1, "split"), result.message


def test_what_a_test_wrote_is_there_for_later_answers_and_tests(shell):
    cells = (
        answer("def f():\n    return open('seen.txt').read()\n"),
        checked("Path('seen.txt').write_text('x')\nassert f() == 'x'\nPath('seen.txt').write_text('later')"),
        answer("seen = open('seen.txt').read()"),
        checked("assert seen == f() == open('seen.txt').read() == 'later'"),
    )
    notebook = material(given(GIVEN, locked=True), *cells)
    texts = [cells[0][2]["reference"], cells[2][2]["reference"]]
    graded = grade_forked(shell, notebook, submission(notebook, *texts), calibrate(shell, notebook))
    assert graded.points == [1, 1], [result.message for result in graded.results.values()]


def test_more_files_than_can_be_shared_are_one_sentence(shell):
    text = "for n in range(5001):\n    open(f'f{n}', 'w').close()\n"
    notebook = material(given(GIVEN, locked=True), answer(""), checked("assert os.path.exists('f1')"))
    result = grade_forked(shell, notebook, submission(notebook, text)).only
    assert result.points == 0
    assert "a test of files needs them in two processes, and the folder has more than 256 MB or 5000 names" in (
        result.message
    )


def test_a_missing_file_is_named_as_the_test_names_it(shell):
    test = "with tempfile.TemporaryDirectory(prefix='of-test-') as d:\n    open(os.path.join(os.getcwd(), 'x.txt'))"
    notebook = material(given(GIVEN, locked=True), answer("x = 1"), checked(test))
    result = grade_forked(shell, notebook, submission(notebook, "x = 2")).only
    assert "FileNotFoundError: [Errno 2] No such file or directory: 'x.txt'" in result.message
