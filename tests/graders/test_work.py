"""What a worker does, in threads that begin at the same moment."""

import subprocess
import sys

import pytest

pytest.importorskip("nbgrader")

MANY = """
import sys, threading
from contextlib import contextmanager
import msgspec
from studium_graders import work
from studium_graders.engine.material import CanonicalNotebook, CanonicalSubmission, Step

sys.setswitchinterval(1e-6)
submission = CanonicalSubmission("ada", (CanonicalNotebook("book", (Step("cell", "student", "x"),), b"{}"),))
packed, go, told = msgspec.msgpack.encode(submission), threading.Barrier(8), []

class Same:
    def grade(self, submission):
        return submission

@contextmanager
def use(*_):
    yield Same()

work._engines.use = use

def one():
    go.wait()
    told.append(work.grade(None, b"", packed))

threads = [threading.Thread(target=one) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert told == [packed] * 8
"""


@pytest.mark.parametrize("_", range(3))
def test_threads_that_take_their_first_submission_at_the_same_moment_do_not_end_the_process(_):
    done = subprocess.run([sys.executable, "-c", MANY], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
