"""The calibration of an assignment: kept from the last run if nothing has changed, or made in the background."""

from collections.abc import Iterator
from concurrent.futures import Executor, Future
from pathlib import Path

import msgspec

from studium_graders.course.sharing import ALONE, Sharing
from studium_graders.engine.material.assignment import Calibration, Material
from studium_graders.grading import work
from studium_graders.results.store import write_whole


class _Kept(msgspec.Struct, frozen=True):
    """What a calibration found, and what it depends on."""

    key: str = ""
    calibration: dict[str, Calibration] = {}


class Calibrating:
    """A calibration that starts at once. ``key`` identifies what it depends on; ``folder`` is where it is kept."""

    def __init__(
        self,
        folder: Path,
        key: str,
        material: Material,
        executor: Executor,
        how: work.Work,
        sharing: Sharing = ALONE,
    ) -> None:
        self._path, self._sharing = folder / f"{material.assignment}.msgpack", sharing
        self._material = material
        self._kept = self._read()
        self._under_way: Future[bytes] | None = None
        if self._kept.key != key:
            self._kept = _Kept(key)
            self._under_way = executor.submit(work.calibrate, how, msgspec.msgpack.encode(material))

    def waiting(self, most: int) -> Iterator[None]:
        """Yield None at this interval until the calibration is done."""
        for _ in range(most):
            if self._under_way is None or self._under_way.done():
                return
            yield

    def result(self) -> tuple[Material, list[str]]:
        """Return the material with what its reference solution needs, and the problems found with its tests."""
        if self._under_way is not None:
            calibrated = msgspec.msgpack.decode(self._under_way.result(), type=Material)
            self._kept = msgspec.structs.replace(self._kept, calibration=calibrated.calibration)
        problems = [problem for found in self._kept.calibration.values() for problem in found.problems]
        if self._under_way is not None and not problems:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self._path, msgspec.msgpack.encode(self._kept))
            self._sharing.share(self._path)
        return msgspec.structs.replace(self._material, calibration=self._kept.calibration), problems

    def _read(self) -> _Kept:
        try:
            return msgspec.msgpack.decode(self._path.read_bytes(), type=_Kept)
        except (OSError, msgspec.MsgspecError):
            return _Kept()
