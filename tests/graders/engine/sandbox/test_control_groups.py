"""L3 asks for a control group that limits memory."""

import pytest
from studium_graders.engine.sandbox.control_groups import require_memory_limit
from studium_graders.engine.sandbox.levels import SandboxError


def make(tmp_path, line, files):
    (tmp_path / "groups").write_text(line)
    for name, text in files.items():
        path = tmp_path / "mounted" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "groups", tmp_path / "mounted"


@pytest.mark.parametrize(
    ("line", "files", "limit"),
    [
        ("0::/job/step\n", {"job/step/memory.max": "max\n", "job/memory.max": "4096\n"}, 4096),
        ("0::/\n", {"memory.max": "8192\n"}, 8192),
        ("4:memory:/job\n0::/\n", {"memory/job/memory.limit_in_bytes": "1024\n"}, 1024),
    ],
)
def test_the_narrowest_limit_of_the_group_and_those_above_counts(tmp_path, line, files, limit):
    assert require_memory_limit(*make(tmp_path, line, files)) == limit


@pytest.mark.parametrize(
    ("line", "files"),
    [
        ("0::/job\n", {"job/memory.max": "max\n"}),
        ("4:memory:/\n", {"memory/memory.limit_in_bytes": "9223372036854771712\n"}),
        ("0::/job\n", {}),
        ("", {}),
    ],
)
def test_without_a_limit_there_is_no_l3_and_the_sentence_says_what_to_do(tmp_path, line, files):
    with pytest.raises(SandboxError, match="MemoryMax"):
        require_memory_limit(*make(tmp_path, line, files))
