"""The state survives crashes, damage, many writers, old and new versions; and it is never silently lost."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from studium.desk import store as store_module
from studium.desk.places import mark_workspace, workspace_of
from studium.desk.records import Checked, Hinted, Revealed, new_entry
from studium.desk.store import FILE, StateError, Store


def entry(answer="x = 1"):
    return new_entry("sample", "merge", Checked("wrong", 1.0, 3.0, answer=answer))


def test_what_was_written_is_there_after_closing(data_folder):
    written = [entry(), new_entry("sample", "merge", Hinted(1)), new_entry("sample", "twice", Revealed())]
    with Store() as store:
        assert store.add("here", written) == 3
    with Store() as store:
        assert store.entries("here") == sorted(written, key=lambda one: (one.time, one.id))
        assert store.entries("elsewhere") == []


def test_an_entry_that_is_known_is_not_added_twice(store):
    one = entry()
    assert [store.add("here", [one]), store.add("here", [one])] == [1, 0]
    assert store.add("there", [one]) == 1


def test_many_writers_lose_nothing(data_folder):
    def write():
        with Store() as store:
            for _ in range(20):
                store.add("here", [entry()])

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with Store() as store:
        assert len(store.entries("here")) == 80


def test_a_new_file_that_another_writes_to_is_waited_for(data_folder):
    first = sqlite3.connect(data_folder / FILE, isolation_level=None, check_same_thread=False)
    first.execute("begin immediate")
    end = threading.Timer(0.3, first.execute, ["rollback"])
    end.start()
    with Store() as store:
        assert store.add("here", [entry()]) == 1
        assert store.read("pragma journal_mode") == [("wal",)]
    end.join()
    first.close()


def test_a_file_that_stays_locked_is_told_in_a_sentence(data_folder, monkeypatch):
    monkeypatch.setattr(store_module, "_WAIT_SECONDS", 0.05)
    with contextlib.closing(sqlite3.connect(data_folder / FILE, isolation_level=None)) as other:
        other.execute("begin immediate")
        with pytest.raises(StateError, match=r"cannot be opened: database is locked"):
            Store()


def test_a_writer_that_is_killed_leaves_the_others_a_sound_file(data_folder):
    code = (
        "import os\nfrom studium.desk.store import Store\nfrom studium.desk.records import *\n"
        "store = Store()\nstore.add('here', [new_entry('sample', 'merge', Revealed())])\n"
        "store._connection.execute('begin immediate')\n"
        "store._connection.execute(\"insert into settings values ('limit', '1')\")\nos._exit(9)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=120).returncode == 9
    with Store() as store:
        assert len(store.entries("here")) == 1
        assert store.read("select * from settings") == []
        assert store.notice == ""


@pytest.mark.parametrize("damage", [b"no database at all" * 100, b""])
def test_a_damaged_file_is_kept_aside_and_a_new_one_begun(data_folder, damage):
    (data_folder / FILE).write_bytes(damage)
    with Store() as store:
        assert store.add("here", [entry()]) == 1
        kept = list(data_folder.glob(f"{FILE}.damaged-*"))
        if damage:
            assert [path.read_bytes() for path in kept] == [damage]
            assert kept[0].name in store.notice
        else:  # an empty file is a new one
            assert kept == []


def test_damage_within_the_pages_is_noticed(data_folder):
    with Store() as store:
        store.add("here", [entry("x" * 3000) for _ in range(50)])
    path = data_folder / FILE
    content = bytearray(path.read_bytes())
    content[4096 * 3 : 4096 * 12] = b"\xff" * 4096 * 9
    path.write_bytes(content)
    with Store() as store:
        assert "damaged" in store.notice
        assert store.entries("here") == []


def test_a_file_of_a_newer_version_is_left_alone_with_a_sentence(data_folder):
    Store().close()
    with sqlite3.connect(data_folder / FILE) as connection:
        connection.execute("pragma user_version = 99")
    connection.close()
    with pytest.raises(StateError, match=r"newer Studium .* update Studium"):
        Store()
    assert list(data_folder.glob("*.damaged*")) == []


def test_an_old_file_is_brought_up_to_date_and_keeps_its_entries(data_folder, monkeypatch):
    with Store() as store:
        store.add("here", [entry()])
    steps = (*store_module._MIGRATIONS, ("alter table settings add column note text",))
    monkeypatch.setattr(store_module, "_MIGRATIONS", steps)
    with Store() as store:
        assert len(store.entries("here")) == 1
        assert store.read("select note from settings") == []


def test_a_step_that_fails_changes_nothing(data_folder, monkeypatch):
    Store().close()
    steps = (*store_module._MIGRATIONS, ("drop table settings", "this is no statement"))
    with monkeypatch.context() as patch:
        patch.setattr(store_module, "_MIGRATIONS", steps)
        with pytest.raises(StateError):
            Store()
    with Store() as store:
        assert store.read("select * from settings") == []


def test_a_store_that_nobody_has_any_more_is_closed(data_folder):
    store = Store()
    connection = store._connection
    del store
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        connection.execute("select 1")


def test_a_folder_that_cannot_be_is_told_in_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match=r"cannot be opened: .*STUDIUM_DATA"):
        Store(tmp_path / "file" / "below")


def test_a_workspace_that_moves_keeps_its_name(tmp_path):
    first = tmp_path / "first"
    first.mkdir()
    mark_workspace(first)
    name = workspace_of(first)
    mark_workspace(first)
    (first / "deeper").mkdir()
    assert workspace_of(first / "deeper") == workspace_of(first.rename(tmp_path / "second")) == name


def test_a_marker_that_is_no_marker_is_passed_over(tmp_path):
    for text in ["", "[]", '{"workspace": 3}', "{", "\0"]:
        (tmp_path / ".studium.json").write_text(text)
        assert workspace_of(tmp_path) == str(Path(tmp_path).resolve())
