"""The metric microscope: edit a hypothesis and see every metric move, with each match marked."""

from __future__ import annotations

from typing import Self

from studium_widgets import Widget
from traitlets import Enum, Int, TraitError, Unicode

LONGEST = 300  # characters
REFERENCE = "The minister did not sign the treaty on Friday."
HYPOTHESIS = "The minister did sign the treaty on Friday."


class MetricMicroscope(Widget):
    """A hypothesis against one reference: the n-grams that match, the longest common subsequence, and ten numbers.

    hypothesis, reference: texts of up to 300 characters. tokeniser: how BLEU cuts them, at "spaces", with
    "punctuation" apart, in "lower" case too, or into "characters". n: the length of the n-grams that are marked, from 1
    to 4. ROUGE, chrF, exact match and token F1 cut texts in their own ways. BLEU is not smoothed: without a matching
    4-gram it is 0. Source: Papineni et al. 2002. Raises TraitError where a text is too long.
    """

    _script = "microscope.js"
    _style = "microscope.css"

    hypothesis = Unicode(HYPOTHESIS).tag(sync=True)
    reference = Unicode(REFERENCE).tag(sync=True)
    tokeniser = Enum(("spaces", "punctuation", "lower", "characters"), "punctuation").tag(sync=True)
    n = Int(1, min=1, max=4).tag(sync=True)

    @classmethod
    def example(cls) -> Self:
        return cls()

    @property
    def alt(self) -> str:
        return f"The hypothesis “{self.hypothesis}” beside the reference “{self.reference}”, with matching stretches."

    def check(self) -> None:
        for name, text in (("hypothesis", self.hypothesis), ("reference", self.reference)):
            if len(text) > LONGEST:
                raise TraitError(f"{name} needs at most {LONGEST} characters, got {len(text)}: shorten it")
