"""What a process may write that is in no sandbox because it must see secrets: the judge's."""

from pathlib import Path

from studium_graders.engine.sandbox import landlock
from studium_graders.engine.sandbox.privileges import seal
from studium_graders.engine.sandbox.view import DEVICES


def write_nowhere_but(folder: str) -> None:
    """Let this process, and all that it starts, change files in ``folder`` alone, for good.

    It neither opens TCP connections nor signals others any more, as far as the kernel's Landlock goes; without Landlock
    nothing changes.
    """
    if landlock.abi():
        seal()
        devices = (*DEVICES, *map(str, Path("/dev").glob("nvidia*")))
        usable = ((device, landlock.DEVICE) for device in devices)
        landlock.restrict([("/", landlock.READ), *usable, (folder, landlock.ALL)])
