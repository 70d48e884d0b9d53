"""Archives of submissions and hand-outs: the same files give the same bytes, and nothing in one can do harm."""

import io
import stat
import zipfile

import pytest
from studium.classroom import archive
from studium.classroom.archive import ArchiveError, files_of, pack, unpack


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


@pytest.mark.parametrize(
    "name",
    [
        "../x",
        "a/../../x",
        "/etc/passwd",
        "a//b",
        "./a",
        "..\\x",
        "C:x",
        "a\x01b",
        "a\x1b[2J",
        ".ssh/authorized_keys",
        "a/.hidden",
        "trailing. ",
        "a/" * 9 + "b",
        "n" * 201,
        "nul|",
    ],
)
def test_a_name_that_leads_out_or_is_odd_is_refused(name):
    with pytest.raises(ArchiveError, match="plain files with relative paths"):
        unpack(entries_zipped([(zipfile.ZipInfo("fine.ipynb"), b"{}"), (zipfile.ZipInfo(name), b"x")]))


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFSOCK])
def test_what_is_no_regular_file_is_refused(kind):
    with pytest.raises(ArchiveError, match="no regular file"):
        unpack(entries_zipped([(entry_of_kind("x", kind), b"/etc/passwd")]))


def test_a_file_that_is_a_folder_too_is_refused():
    with pytest.raises(ArchiveError, match="is a folder, too"):
        unpack(zipped(**{"a": b"x", "a/b": b"y"}))


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("second", ["ps1.ipynb", "PS1.ipynb"])
def test_a_name_that_comes_twice_is_refused(second):
    with pytest.raises(ArchiveError, match="each file once"):
        unpack(entries_zipped([(zipfile.ZipInfo("ps1.ipynb"), b"{}"), (zipfile.ZipInfo(second), b"[]")]))


@pytest.mark.parametrize("content", [b"", b"no archive", pack({"a": b"x" * 500})[:-30]])
def test_what_is_no_whole_archive_is_refused_in_a_sentence(content):
    with pytest.raises(ArchiveError, match="whole is needed"):
        unpack(content)


def test_an_entry_that_is_damaged_is_refused():
    packed = bytearray(pack({"a": b"some text that is compressed " * 9}))
    packed[45] ^= 255
    with pytest.raises(ArchiveError, match="whole is needed"):
        unpack(bytes(packed))


def test_an_archive_that_unpacks_to_more_than_is_allowed_is_refused_whatever_it_says_of_its_size(monkeypatch):
    monkeypatch.setattr(archive, "MOST_UNPACKED", 1 << 20)
    bomb = pack({"zeros": bytes(2 << 20)})
    small = (2 << 20).to_bytes(4, "little")
    assert bomb.count(small) == 2  # in the entry and in the directory
    with pytest.raises(ArchiveError, match="unpacks to 1 MB at most"):
        unpack(bomb)


def test_too_many_files_are_refused_on_both_sides(monkeypatch):
    monkeypatch.setattr(archive, "MOST_FILES", 3)
    files = {f"{number}": b"" for number in range(4)}
    with pytest.raises(ArchiveError, match="3 files at most"):
        pack(files)
    with pytest.raises(ArchiveError, match="3 files at most"):
        unpack(zipped(**files))
