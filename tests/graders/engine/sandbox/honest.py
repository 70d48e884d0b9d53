"""What honest students use, in the sandbox: ``honest.py SCRATCH LEVEL…`` prints a line for each level, "L1 fine"."""

# ruff: noqa: PTH101, PTH102, PTH103, PTH111, PTH123, PTH208

import os
import sys
import traceback

import IPython
import numpy as np
import torch
from studium_graders.engine.sandbox import Level, Policy, enter, fork, readable_roots


def numbers():
    a = torch.randn(60, 60, dtype=torch.float64)
    u, s, v = torch.linalg.svd(a)
    assert torch.allclose(u * s @ v, a)
    assert torch.linalg.solve(a, a).diagonal().sum().round() == 60
    assert np.linalg.eigvalsh(np.eye(3)).sum() == 3
    assert torch.fft.rfft(torch.ones(8)).abs().sum() == 8


def training():
    from torch import nn
    from torch.utils.data import DataLoader, TensorDataset

    model = nn.Sequential(nn.Conv1d(1, 4, 3), nn.GELU(), nn.Flatten(), nn.Linear(4 * 6, 1))
    data = DataLoader(TensorDataset(torch.randn(32, 1, 8), torch.randn(32, 1)), batch_size=8, shuffle=True)
    for optimiser in (torch.optim.AdamW(model.parameters()), torch.optim.SGD(model.parameters(), lr=0.1)):
        for x, y in data:
            optimiser.zero_grad()
            nn.functional.mse_loss(model(x), y).backward()
            optimiser.step()
    torch.save(model.state_dict(), "model.pt")
    model.load_state_dict(torch.load("model.pt"))
    nn.MultiheadAttention(8, 2)(*[torch.randn(1, 3, 8)] * 3)


def files():
    import shutil
    import sqlite3
    import tempfile

    with tempfile.TemporaryDirectory() as folder, tempfile.NamedTemporaryFile() as file:
        file.write(b"x")
        shutil.copy(file.name, folder)
    np.save("array.npy", np.arange(3))
    assert np.load("array.npy", mmap_mode="r").sum() == 3
    with sqlite3.connect("own.db") as database:
        database.execute("create table t (x)")
    os.makedirs("deep/er")
    os.chmod("deep", 0o755)
    assert sorted(os.listdir("deep")) == ["er"]


def late_imports():
    import concurrent.futures
    import csv  # noqa: F401
    import zoneinfo

    import PIL.Image
    import sklearn.linear_model
    import torch.distributions

    zoneinfo.ZoneInfo("Europe/Berlin")
    sklearn.linear_model.LinearRegression().fit(np.eye(3), np.ones(3))
    PIL.Image.new("RGB", (4, 4)).save("image.png")
    torch.distributions.Normal(0, 1).sample()
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert list(pool.map(abs, [-1])) == [1]


def programs():
    import asyncio
    import subprocess

    async def nap():
        await asyncio.sleep(0)
        return 1

    assert asyncio.run(nap()) == 1
    assert subprocess.run(["echo", "x"], capture_output=True, check=True).stdout == b"x\n"
    child = subprocess.Popen(["sleep", "60"])
    child.terminate()
    assert child.wait() == -15


def shared():
    import mmap

    with mmap.mmap(-1, 100) as page, mmap.mmap(-1, 1 << 20, flags=mmap.MAP_PRIVATE) as private:
        page[0] = private[-1] = 1
    with open("/dev/zero", "rb", buffering=0) as zeros:
        assert zeros.read(9) == bytes(9)


def files_in_memory():
    import mmap

    with open("read", "w+b") as file:
        file.write(bytes(1 << 20))
        file.flush()
        for advice in (os.POSIX_FADV_SEQUENTIAL, os.POSIX_FADV_WILLNEED, os.POSIX_FADV_DONTNEED):
            os.posix_fadvise(file.fileno(), 0, 0, advice)
        assert os.preadv(file.fileno(), [piece := bytearray(9)], 0) == len(piece)
        with mmap.mmap(file.fileno(), 0) as mapped:
            for advice in (mmap.MADV_SEQUENTIAL, mmap.MADV_WILLNEED, mmap.MADV_DONTNEED):
                mapped.madvise(advice)
            assert mapped[-1] == 0


def shell():
    from IPython.core.interactiveshell import InteractiveShell

    run = InteractiveShell.instance().run_cell("%time sum(range(3))\nimport this", silent=True)
    assert run.success


def machine():
    import getpass
    import platform
    import resource

    assert os.cpu_count() >= 1
    assert getpass.getuser()
    assert os.path.expanduser("~") == os.environ["HOME"]
    assert platform.machine()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > 0
    with open("/proc/meminfo") as memory:
        assert "MemTotal" in memory.read()


def main(scratch: str, *levels: str) -> None:
    assert IPython.version_info
    torch.set_num_threads(1)
    for level in levels:
        folder = f"{scratch}/{level}"
        os.mkdir(folder)
        policy = Policy(readable_roots(), (), folder, keep=(1,))
        child = fork(Level[level])
        if child:
            os.waitpid(child, 0)
        else:
            try_at(Level[level], policy)


def try_at(level: Level, policy: Policy) -> None:
    """Enter, try everything, say how it went, and end."""
    enter(level, policy)
    failed = []
    for part in (numbers, training, files, late_imports, programs, shared, files_in_memory, shell, machine):
        try:
            part()
        except BaseException:
            failed.append(f"{part.__name__}: {traceback.format_exc()}")
    os.write(1, f"{level.name} {' '.join(failed) or 'fine'}\n".encode())
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
