"""Archives of submissions and hand-outs: the same files give the same bytes, and nothing in one can do harm."""

import io
import stat
import struct
import tracemalloc
import zipfile
import zlib

import pytest
from studium.classroom import archive
from studium.classroom.archive import ArchiveError, files_of, pack, unpack
from studium.classroom.archive_directory import entries_of


def zipped(**entries: bytes) -> bytes:
    return entries_zipped([(zipfile.ZipInfo(name), content) for name, content in entries.items()])


def entries_zipped(entries: list[tuple[zipfile.ZipInfo, bytes]]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as written:
        for entry, content in entries:
            written.writestr(entry, content)
    return made.getvalue()


def entry_of_kind(name: str, kind: int) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)
    entry.external_attr = (kind | 0o777) << 16
    return entry


def test_files_come_back_and_the_same_files_give_the_same_bytes():
    files = {"a/b.txt": b"x" * 9, "ps1.ipynb": b"{}"}
    assert unpack(pack(files)) == files
    assert pack(dict(reversed(files.items()))) == pack(files)


def test_hidden_files_links_and_caches_of_a_folder_are_passed_over(tmp_path):
    (tmp_path / "ps1.ipynb").write_text("{}")
    for name in (".git", "__pycache__", ".ipynb_checkpoints"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x").write_text("x")
    (tmp_path / ".env").write_text("secret")
    (tmp_path / "link").symlink_to("/etc/passwd")
    assert files_of(tmp_path) == {"ps1.ipynb": b"{}"}


ODD = ("../x", "a/../../x", "/etc/passwd", "a//b", "./a", "..\\x", "C:x", "a\x01b", "a\x1b[2J", ".ssh/authorized_keys")
ODD += ("a/.hidden", "trailing. ", "a/" * 9 + "b", "n" * 201, "nul|")


def test_a_name_that_leads_out_or_is_odd_is_refused():
    for name in ODD:
        with pytest.raises(ArchiveError, match="plain files with relative paths"):
            unpack(entries_zipped([(zipfile.ZipInfo("fine.ipynb"), b"{}"), (zipfile.ZipInfo(name), b"x")]))


def test_what_is_no_regular_file_is_refused():
    for kind in (stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFSOCK):
        with pytest.raises(ArchiveError, match="not a regular file"):
            unpack(entries_zipped([(entry_of_kind("x", kind), b"/etc/passwd")]))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_comes_twice_or_is_a_folder_too_is_refused():
    for second in ("ps1.ipynb", "PS1.ipynb"):
        with pytest.raises(ArchiveError, match="each file only once"):
            unpack(entries_zipped([(zipfile.ZipInfo("ps1.ipynb"), b"{}"), (zipfile.ZipInfo(second), b"[]")]))
    with pytest.raises(ArchiveError, match="is also a folder"):
        unpack(zipped(**{"a": b"x", "a/b": b"y"}))


def test_what_is_damaged_or_no_whole_archive_is_refused_in_a_sentence():
    damaged = bytearray(pack({"a": b"some text that is compressed " * 9}))
    damaged[45] ^= 255
    for content in (b"", b"no archive", pack({"a": b"x" * 500})[:-30], bytes(damaged)):
        with pytest.raises(ArchiveError, match="complete ZIP archive"):
            unpack(content)


def test_an_archive_that_unpacks_to_more_than_is_allowed_is_refused_whatever_it_says_of_its_size(monkeypatch):
    monkeypatch.setattr(archive, "MOST_UNPACKED", 1 << 20)
    bomb = pack({"zeros": bytes(2 << 20)})
    small = (2 << 20).to_bytes(4, "little")
    assert bomb.count(small) == 2  # in the entry and in the directory
    with pytest.raises(ArchiveError, match="may unpack to at most 1 MB"):
        unpack(bomb)


def test_what_is_neither_stored_nor_deflated_is_refused_since_it_would_unpack_all_at_once():
    for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w", method) as written:
            written.writestr("zeros", bytes(1 << 20))
        with pytest.raises(ArchiveError, match="got 'zeros' \\(neither stored nor deflated\\)"):
            unpack(made.getvalue())


def test_of_an_entry_no_more_is_unpacked_than_the_size_that_it_gives():
    content, size, given = pack({"zeros": bytes(8 << 20)}), 8 << 20, 10
    for was, lie in ((size, given), (zlib.crc32(bytes(size)), zlib.crc32(bytes(given)))):
        content = content.replace(was.to_bytes(4, "little"), lie.to_bytes(4, "little"))
    tracemalloc.start()
    try:
        assert unpack(content) == {"zeros": bytes(given)}
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_too_many_files_are_refused_on_both_sides(monkeypatch):
    monkeypatch.setattr(archive, "MOST_FILES", 3)
    files = {f"{number}": b"" for number in range(4)}
    with pytest.raises(ArchiveError, match="at most 3 files"):
        pack(files)
    with pytest.raises(ArchiveError, match="at most 3 files"):
        unpack(zipped(**files))


def many_names(number: int) -> bytes:
    return zipped(**{f"{k}": b"" for k in range(number)})


def with_record(content: bytes, **values: int) -> bytes:
    """An archive whose record at the end says something else; ``count``, ``size``, ``offset``."""
    record = list(struct.unpack("<4s4H2LH", content[-22:]))
    for name, value in values.items():
        for place in {"count": (3, 4), "size": (5,), "offset": (6,)}[name]:
            record[place] = value
    return content[:-22] + struct.pack("<4s4H2LH", *record)


def test_many_names_are_refused_before_they_are_parsed_whatever_the_archive_says_of_their_number(monkeypatch):
    monkeypatch.setattr(archive, "MOST_ENTRIES", 20)
    honest, liar = many_names(21), with_record(many_names(21), count=1)
    with_comment = honest[:-2] + b"\x03\x00abc"
    at_most = many_names(20)
    assert entries_of(at_most, 20) == 20
    assert len(unpack(at_most)) == 20

    def parse(*_):
        raise AssertionError("the directory was parsed")

    monkeypatch.setattr(archive.zipfile, "ZipFile", parse)
    for content in (honest, liar, with_comment, b"#!/bin/sh\n" + honest):
        with pytest.raises(ArchiveError, match="at most 1000 files: this one has many more"):
            unpack(content)


def test_a_million_names_are_counted_no_further_than_they_are_taken():
    content = many_names(3000)
    assert entries_of(content, 2000) == 2001
    with pytest.raises(ArchiveError, match="this one has many more"):
        unpack(with_record(content, count=1))


def test_a_record_that_lies_about_the_directory_is_refused():
    content = many_names(2500)
    for lie in ({"size": 2**31}, {"size": 2**22}, {"size": 1}, {"offset": 2**31}):
        with pytest.raises(ArchiveError):
            unpack(with_record(content, **lie))


def test_an_entry_that_is_larger_than_any_path_needs_is_refused_before_it_is_parsed():
    entry = zipfile.ZipInfo("ps1.ipynb")
    entry.comment = b"x" * 60_000
    assert entries_of(entries_zipped([(entry, b"{}")]), 20) == 21


def test_an_archive_with_a_second_record_that_may_contradict_the_first_is_refused():
    content = many_names(2)
    second = b"PK\6\6" + bytes(52) + b"PK\6\7" + bytes(16)
    with pytest.raises(ArchiveError, match="ZIP64, which an archive of 64 MB does not need"):
        unpack(content[:-22] + second + content[-22:])


def test_what_an_archive_itself_says_is_too_large_is_not_unpacked(monkeypatch):
    monkeypatch.setattr(archive, "MOST_UNPACKED", 1 << 20)
    bomb = pack({"zeros": bytes(2 << 20)})

    def opened(*_):
        raise AssertionError("it was unpacked")

    monkeypatch.setattr(archive.zipfile.ZipFile, "open", opened)
    with pytest.raises(ArchiveError, match="may unpack to at most 1 MB"):
        unpack(bomb)
