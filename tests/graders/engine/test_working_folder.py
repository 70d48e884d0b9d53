"""The working folder of a student's process: what can be there is written, and nothing stops the rest."""

from pathlib import Path

import pytest
from studium_graders.engine.processes.working_folder import write_files


def test_a_name_below_a_file_or_of_a_folder_is_left_out_and_the_rest_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_files({"a": b"1", "a/b": b"2", "a/b/c": b"3", "d/e": b"4", "d": b"5", "last": b"6"})
    written = {str(path.relative_to(tmp_path)): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert written == {"a": b"1", "d/e": b"4", "last": b"6"}
