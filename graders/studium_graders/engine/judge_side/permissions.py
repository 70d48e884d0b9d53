"""What a test may receive: one set of words, noted while the reference passes it.

``remote``: an object stays with the student. ``object NAME``: one of a class that both sides have. ``argument``: the
test's own object comes back. ``changes``: an argument changes. ``kept``: an argument of an earlier call does so, or
comes back.
"""

from dataclasses import dataclass, field

from studium_graders.engine.wire.codec import RefusedError

REMOTE, ARGUMENT, CHANGES, KEPT, OBJECT = "remote", "argument", "changes", "kept", "object"
Words = frozenset[str]


@dataclass
class Watch:
    """What is known of one test while it runs and afterwards. Without ``allowed`` it records.

    ``applied``: changes that have no permission are made all the same.
    """

    allowed: Words | None
    applied: bool = False
    noted: set[str] = field(default_factory=set)
    refusal: RefusedError | None = None
    withheld: bool = False
    changed_later: bool = False
    open: bool = True
    _hint: RefusedError | None = None

    def allows(self, word: str) -> bool:
        """Return whether the test may receive what a word stands for; note it while recording."""
        if self.allowed is None:
            self.noted.add(word)
        return self.allowed is None or word in self.allowed

    def would_allow(self, word: str) -> bool:
        """Return the same without noting it."""
        return self.allowed is None or word in self.allowed

    def refuse(self, sentence: str) -> RefusedError:
        """Return a refusal. The first one sticks, whoever catches it."""
        error = RefusedError(sentence)
        if self.open:
            self.refusal = self.refusal or error
        return error

    def refuse_unless_hint(self, sentence: str) -> RefusedError:
        """Return a refusal that ``list`` expects: it asks for a length first, and then iterates."""
        self._hint = RefusedError(sentence)
        return self._hint

    def iterated(self) -> None:
        """Take back the refusal of a length: it was asked for as a hint."""
        self._hint = None

    def close(self) -> None:
        """End the test: what is refused from now on is not the test's."""
        if self._hint is not None:
            self.refusal = self.refusal or self._hint
        self.open = False
