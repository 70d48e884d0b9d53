"""The sentences of the mistakes that results identify by id, in the topics' current wording."""

import re
from functools import cache, partial

from studium.catalogue.catalogue import Catalogue
from studium.desk.describing import description_of
from studium.errors import StudiumError

from studium_graders.engine.material.results import TestResult

_ID = re.compile(r"([a-z0-9-]+)\.(\w+):\S+")  # as studium.exercises.model.mistake_id makes it


class Sentences:
    """The sentences of a catalogue's topics; each topic is looked up once.

    ``hidden``: what is said of an answer without a name may come from hidden tests too.
    """

    def __init__(self, catalogue: Catalogue, *, hidden: bool = True) -> None:
        self._topic, self._hidden = cache(partial(description_of, catalogue)), hidden

    def about(self, test: TestResult) -> str:
        """Return the sentence of the mistake that a test names, or what else it says of the answer, or ""."""
        return self.of(test.mistake_id) or (test.said if self._hidden or not test.hidden else "")

    def of(self, mistake: str) -> str:
        """Return the sentence of a mistake, "" if its topic cannot be used or no longer has it.

        Results from before mistakes had ids contain the sentence itself, which is returned unchanged.
        """
        found = _ID.fullmatch(mistake)
        if found is None:
            return mistake
        try:
            return self._topic(found[1]).exercise(found[2]).sentence_of(mistake)
        except StudiumError:
            return ""
