"""What is read of a lesson that another process runs, also while it writes."""

import msgspec
from studium.authoring.lesson_process import Event
from studium.authoring.lesson_run import _edition, _read

EVENTS = [Event("lesson", "a"), Event("lesson", "a", seconds=2.0), Event("solution", "a"), Event("solution", "b")]


def written(path, events):
    path.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in ["the notebook", *events]))
    return path


def test_a_cell_is_read_once_as_it_ended_and_as_it_began_where_it_did_not_end(tmp_path):
    run = _read(written(tmp_path / "events", EVENTS), "was stopped after 32 s")
    assert run.notebook == "the notebook"
    assert [(event.edition, event.cell, event.seconds) for event in run.events] == [
        ("lesson", "a", 2.0),
        ("solution", "a", 0.0),
        ("solution", "b", 0.0),
    ]


def test_half_of_a_line_is_not_read_yet(tmp_path):
    path = written(tmp_path / "events", EVENTS[:2])
    path.write_bytes(path.read_bytes() + msgspec.json.encode(EVENTS[2])[:20])
    assert _edition(path) == "lesson"
    assert len(_read(path, "").events) == 1
