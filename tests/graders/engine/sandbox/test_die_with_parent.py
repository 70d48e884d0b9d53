"""A student's process ends with the process that has started it, and says nothing of a sandbox that does not hold."""

import os
import sys
import time

import pytest
from studium_graders.engine.sandbox.privileges import die_with_parent

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux alone")


def grandchild_says(*, parent_ends: bool) -> bytes:
    """Return what a grandchild writes after the block; its parent may end within."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        parent, grandchild = os.getpid(), os.fork()
        if grandchild == 0:
            try:
                with die_with_parent():
                    os.write(writing, b"in the block")
                    while parent_ends and os.getppid() == parent:
                        time.sleep(0.001)
                os.write(writing, b", after it")
            except BaseException:
                os.write(writing, b", raised")
            os._exit(0)
        if not parent_ends:
            os.waitpid(grandchild, 0)
        time.sleep(0.1)
        os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading, "rb") as said:
        return said.read()


def test_it_goes_on_where_its_parent_is_there():
    assert grandchild_says(parent_ends=False) == b"in the block, after it"


def test_it_ends_where_its_parent_has_ended_within_the_block():
    assert grandchild_says(parent_ends=True) == b"in the block"
