"""Failed tokens and invitations: an address that tries many different ones in a minute has to wait."""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable

MOST_FAILED = 20  # different tokens from one address in a minute
_WINDOW_SECONDS, _TRUSTED_SECONDS = 60.0, 3600.0
_MOST_KEPT = 10_000  # addresses, and tokens that worked


class Guesses:
    """Secrets that failed and tokens that worked, in memory. Each secret counts once, so an old client blocks nobody
    else.

    A token that worked within the last hour is looked up even if its address has to wait: on a hub, all students may
    have the same address. ``clock`` returns seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failed: OrderedDict[str, dict[bytes, float]] = OrderedDict()
        self._worked: OrderedDict[bytes, float] = OrderedDict()

    def may_try(self, address: str, secret: str) -> bool:
        """Return whether to look up a token or an invitation from this address at all."""
        now = self._clock()
        if self._worked.get(_digest(secret), 0.0) > now:
            return True
        recent = [when for when in self._failed.get(address, {}).values() if when > now - _WINDOW_SECONDS]
        return len(recent) < MOST_FAILED

    def failed(self, address: str, secret: str) -> None:
        """Record a secret that does not exist."""
        now = self._clock()
        kept = {key: when for key, when in self._failed.pop(address, {}).items() if when > now - _WINDOW_SECONDS}
        self._failed[address] = kept | {_digest(secret): now}
        self._worked.pop(_digest(secret), None)
        _forget(self._failed)

    def worked(self, token: str) -> None:
        """Record a token that exists."""
        self._worked.pop(_digest(token), None)
        self._worked[_digest(token)] = self._clock() + _TRUSTED_SECONDS
        _forget(self._worked)


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()


def _forget(kept: OrderedDict[str, dict[bytes, float]] | OrderedDict[bytes, float]) -> None:
    """Forget the oldest entries if there are too many."""
    while len(kept) > _MOST_KEPT:
        kept.popitem(last=False)
