"""Stamps of installed code: they change with every file, so that what was kept of other code is not believed."""

import hashlib
from importlib.resources import as_file, files
from importlib.util import find_spec
from pathlib import Path

from studium.catalogue import Catalogue


def installed(catalogue: Catalogue) -> bytes:
    """Return what a topic depends on besides itself: the stamp of the host's code, and every plugin's version."""
    spec = find_spec("studium")
    assert spec is not None
    assert spec.origin is not None
    versions = sorted(f"{entry.distribution} {entry.version}" for entry in catalogue.entries)
    return _stamp(Path(spec.origin).parent) + "\n".join(versions).encode()


def digest(package: str, host: bytes) -> str:
    """Return 16 hexadecimal digits for the files of a package together with ``host``, as ``installed`` returns it."""
    with as_file(files(package)) as folder:
        return hashlib.sha256(host + _stamp(folder)).hexdigest()[:16]


def _stamp(folder: Path) -> bytes:
    stats = ((path, path.stat()) for path in sorted(folder.rglob("*")) if path.suffix in (".py", ".svg"))
    return "\n".join(f"{path} {stat.st_size} {stat.st_mtime_ns}" for path, stat in stats).encode()
