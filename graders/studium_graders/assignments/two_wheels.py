"""The two wheels that a release of Studium publishes, made from the one that a checkout builds.

``studium`` is what anybody installs: all of it, with the topics in their public edition. ``studium-keys`` has the same
topics with solutions, hidden tests and references. Where it is installed, Python finds a topic there first.

    python -m studium_graders.assignments.two_wheels build/wheel/studium-0.1.0-py3-none-any.whl dist [REPOSITORY]

With the address of the repository, the metadata names it, and the links of the README lead there.
"""

import re
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from wheel.wheelfile import WheelFile  # type: ignore[import-untyped]

from studium_graders.assignments.student_wheel import student_files, topic_folders

_TOPICS = PurePosixPath("studium_topics")
_KEYS = "studium_keys"
_FIRST_IN_KEYS = f"""
from importlib.util import find_spec

if (_keys := find_spec("{_KEYS}")) and _keys.submodule_search_locations:
    __path__ = [*_keys.submodule_search_locations, *__path__]
"""
_METADATA = """\
Metadata-Version: 2.4
Name: studium-keys
Version: {version}
Summary: Solutions, hidden tests and reference implementations of Studium's topics: for instructors, and for those who \
learn on their own.
License-Expression: BSD-3-Clause
License-File: LICENSE
Requires-Python: >=3.11
Requires-Dist: studium[topics]=={version}
"""
_LINKS = ((r"(srcset=\"|src=\"|!\[[^\]]*\]\()(docs/)", "raw"), (r"(\]\()(docs/|LICENSE)", "blob"))
_PAGES = {"Source": "", "Documentation": "/tree/main/docs", "Issues": "/issues", "Changelog": "/blob/main/CHANGELOG.md"}
_WHEEL = "Wheel-Version: 1.0\nGenerator: studium\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def write_two_wheels(wheel: Path, out: Path, repository: str = "") -> tuple[Path, Path]:
    """Write ``studium`` and ``studium-keys`` into the folder ``out``, from Studium's own ``wheel``."""
    version = wheel.name.split("-")[1]
    out.mkdir(parents=True, exist_ok=True)
    public, keys = out / wheel.name, out / f"{_KEYS}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as source:
        _write(public, _public(source, version, repository))
        _write(keys, _keys(source, version, repository))
    return public, keys


def _write(wheel: Path, files: Iterator[tuple[str, bytes]]) -> None:
    wheel.unlink(missing_ok=True)
    with WheelFile(wheel, "w", zipfile.ZIP_DEFLATED) as written:
        for name, data in files:
            info = zipfile.ZipInfo(name)
            info.external_attr, info.compress_type = 0o644 << 16, zipfile.ZIP_DEFLATED
            written.writestr(info, data)


def _public(source: zipfile.ZipFile, version: str, repository: str) -> Iterator[tuple[str, bytes]]:
    for entry, data in student_files(source, f"studium-{version}.", hints=True, staff=True):
        path = PurePosixPath(entry.filename)
        if path == _TOPICS / "__init__.py":
            yield entry.filename, data + _FIRST_IN_KEYS.encode()
        elif path.name == "METADATA" and path.parent.suffix == ".dist-info":
            yield entry.filename, _at_home(data.decode(), version, repository).encode()
        else:
            yield entry.filename, data


def _at_home(metadata: str, version: str, repository: str) -> str:
    """Name the repository in the metadata, and let the links of its description lead there."""
    if not repository:
        return metadata
    pages = "".join(f"Project-URL: {name}, {repository}{place}\n" for name, place in _PAGES.items())
    metadata = re.sub(r"(?m)^Version: .*\n", lambda found: found[0] + pages, metadata, count=1)
    for link, kind in _LINKS:
        metadata = re.sub(link, rf"\1{repository}/{kind}/v{version}/\2", metadata)
    return metadata


def _keys(source: zipfile.ZipFile, version: str, repository: str) -> Iterator[tuple[str, bytes]]:
    topics, info = topic_folders(source.namelist()), f"{_KEYS}-{version}.dist-info"
    for name in source.namelist():
        path = PurePosixPath(name)
        if topics.intersection(path.parents) and not re.fullmatch(r"(test_.*|conftest)\.py", path.name):
            yield str(_KEYS / path.relative_to(_TOPICS)), source.read(name)
    yield (
        f"{_KEYS}/__init__.py",
        b'"""Topics with their answers, where Python looks first."""\n',
    )
    yield f"{info}/licenses/LICENSE", source.read(f"studium-{version}.dist-info/licenses/LICENSE")
    yield f"{info}/METADATA", _at_home(_METADATA.format(version=version), version, repository).encode()
    yield f"{info}/WHEEL", _WHEEL.encode()


if __name__ == "__main__":
    for path in write_two_wheels(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:]):
        print(path)  # noqa: T201
