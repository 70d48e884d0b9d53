"""Progress travels in one file: merged in any order it is the same, and a hostile file changes nothing."""

from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from studium.desk.answer_codes import AnswerCodeError, SharedAnswer, decode_answer, encode_answer
from studium.desk.journal import Journal
from studium.desk.progress_file import ProgressFileError, export_progress, import_progress, read_progress
from studium.desk.records import Checked, Hinted, Revealed
from studium.desk.store import Store

WRONG = Checked("wrong", 1.0, 3.0, "keeps the shape", "expected 3", "You forgot the scale.", "first try")


@pytest.fixture
def journals(tmp_path):
    """Two machines."""
    with Store(tmp_path / "a") as first, Store(tmp_path / "b") as second:
        yield Journal(first, tmp_path), Journal(second, tmp_path)


def test_two_machines_that_exchange_files_agree(journals):
    first, second = journals
    first.write("sample", "merge", WRONG)
    second.write("sample", "merge", Hinted(1))
    second.write("sample", "twice", Revealed())
    one, two = export_progress(first), export_progress(second)
    assert (import_progress(first, two).added, import_progress(second, one).added) == (2, 1)
    assert export_progress(first) == export_progress(second)
    assert import_progress(first, two).added == 0


def test_a_file_that_a_browser_has_written_again_is_sound(journals):
    first, second = journals
    first.write("sample", "merge", WRONG)
    content = json.dumps(json.loads(export_progress(first)), indent=1).replace("1.0", "1").replace("3.0", "3")
    assert import_progress(second, content.encode()).added == 1


def test_a_file_goes_into_another_workspace_of_the_same_machine(journals, tmp_path):
    first, _ = journals
    first.write("sample", "merge", WRONG)
    (tmp_path / "other").mkdir()
    other = Journal(first.store, tmp_path / "other")
    assert import_progress(other, export_progress(first)).added == 1


OLD_ENTRIES = (
    '[{"id":"0123456789abcdef0123456789abcdef","time":1700000000000,"lesson":"sample","what":{"type":"checked",'
    '"outcome":"wrong","points":1.0,"max_points":3.0,"test":"t","message":"m","mistake":"You forgot the scale.",'
    '"answer":"x"},"exercise":"merge"}]'
)


def test_a_file_of_before_mistakes_had_ids_is_sound_and_keeps_its_sentence():
    checksum = hashlib.sha256(OLD_ENTRIES.encode()).hexdigest()
    file = f'{{"format":"studium-progress","version":1,"sha256":"{checksum}","entries":{OLD_ENTRIES}}}'
    (entry,) = read_progress(file.encode())
    assert entry.what.mistake_id == "You forgot the scale."


def tampered(content, change):
    file = json.loads(content)
    change(file)
    return json.dumps(file).encode()


def test_a_file_that_was_tampered_with_is_refused_whole(journals):
    first, second = journals
    first.write("sample", "merge", WRONG)
    first.write("sample", "merge", Hinted(1))
    for change, sentence in [
        (lambda f: f.update(format="other"), "this is not a progress file"),
        (lambda f: f.update(version=2), "version 2"),
        (lambda f: f.update(more=1), "this progress file is not valid"),
        (lambda f: f.update(sha256="0" * 64), "damaged in transit"),
        (lambda f: f["entries"].pop(), "damaged in transit"),
        (lambda f: f["entries"][0].update(lesson="../../etc"), "this progress file is not valid"),
        (lambda f: f["entries"][0].update(id="x"), "this progress file is not valid"),
        (lambda f: f["entries"][0].update(exercise="<script>"), "this progress file is not valid"),
        (lambda f: f["entries"][0]["what"].update(outcome="perfect"), "this progress file is not valid"),
        (lambda f: f["entries"][0]["what"].update(answer="x" * 100_001), "this progress file is not valid"),
        (lambda f: f["entries"][0]["what"].update(type="exec"), "this progress file is not valid"),
        (lambda f: f["entries"][0].update(time=-1), "this progress file is not valid"),
    ]:
        with pytest.raises(ProgressFileError, match=sentence):
            import_progress(second, tampered(export_progress(first), change))
        assert second.store.entries(second.workspace) == []


def test_entries_of_the_future_are_refused(journals, monkeypatch):
    first, _ = journals
    first.write("sample", "merge", WRONG)
    content = export_progress(first)
    monkeypatch.setattr("time.time_ns", lambda: 0)
    with pytest.raises(ProgressFileError, match="future"):
        read_progress(content)


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_any_other_file_is_refused_with_a_sentence(content):
    with pytest.raises(ProgressFileError, match="progress file"):
        read_progress(content)


@given(st.text(min_size=1, max_size=400).filter(str.strip))
def test_a_code_gives_the_answer_back_also_out_of_a_link(answer):
    code = encode_answer("lora", "merge", answer)
    assert code.isascii()
    expected = SharedAnswer("lora", "merge", answer)
    assert decode_answer(code) == decode_answer(f"https://example.org/lab#{code}\n") == expected


def test_an_answer_that_is_too_long_or_not_there_gets_no_code():
    with pytest.raises(AnswerCodeError, match=r"too long for a link .* progress file"):
        encode_answer("lora", "merge", "".join(map(str, range(3000))))
    with pytest.raises(AnswerCodeError, match="write one first"):
        encode_answer("lora", "merge", " \n")


@given(st.text(max_size=100) | st.text(alphabet="abcXYZ019-_", max_size=100).map("studium1.".__add__))
def test_what_is_no_code_is_refused(text):
    with pytest.raises(AnswerCodeError, match="copy it again"):
        decode_answer(text)


def test_a_code_that_was_cut_is_refused():
    code = encode_answer("lora", "merge", "def merge(): ...")
    for length in range(len("studium1."), len(code) - 1):
        with pytest.raises(AnswerCodeError):
            decode_answer(code[:length])
