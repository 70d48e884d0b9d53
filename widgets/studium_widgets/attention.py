"""Attention of a transformer, token by token: which query attends to which key, and what a mask removes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from traitlets import Bool, Dict, Enum, Float, Int, List, TraitError, Unicode, validate

from studium_widgets.arrays import Array
from studium_widgets.base import Widget

__all__ = ["AttentionHeatmap"]

LARGEST = 32 * 2**20  # bytes saved in a notebook in addition to the lesson
SHAPE = ("layers", "heads", "tokens", "tokens")
PARTS = ("position", "words", "bidirectional", "causal")


class AttentionHeatmap(Widget):
    """One head's attention as a matrix or as arcs, with the mask, the temperature and the head to choose.

    tokens: T strings, up to 512. Exactly one of weights and scores, (layers, heads, T, T), row = query: weights sum to
    1 over the last axis; scores are the input of the softmax, already divided by sqrt(d). padding: T booleans, true
    where a token is padding. mask: "bidirectional" or "causal". temperature: above 0. layer, head: the ones shown, from
    0. view: "matrix" or "arcs". locked: the row that stays highlighted, or -1. predictions: for some positions
    {"position": int, "words": [...], "bidirectional": [...], "causal": [...]}, the probability of each word there when
    it is masked; masked: the position that is, or -1. on_sentence: text → (tokens, scores), called in the kernel when
    the learner types a sentence; scores as above, with the same layers and heads. sentence: what was typed last;
    answered: the one shown; problem: why it could not be shown. Raises TraitError if they do not fit together.
    """

    _script = "attention.js"
    _style = "attention.css"

    tokens = List(Unicode()).tag(sync=True, each="tokens")
    weights = Array("float32", SHAPE, optional=True)
    scores = Array("float32", SHAPE, optional=True, finite=False)
    padding = List(Bool()).tag(sync=True, each_if_any="tokens")
    mask_padding = Bool(True).tag(sync=True)
    mask = Enum(("bidirectional", "causal"), "bidirectional").tag(sync=True)
    temperature = Float(1.0).tag(sync=True, between=(1e-3, 100))
    layer = Int(0).tag(sync=True, between=(0, "layers"))
    head = Int(0).tag(sync=True, between=(0, "heads"))
    view = Enum(("matrix", "arcs"), "matrix").tag(sync=True)
    locked = Int(-1).tag(sync=True, between=(-1, "tokens"))
    predictions = List(Dict()).tag(sync=True)
    masked = Int(-1).tag(sync=True, between=(-1, "tokens"))
    asks = Bool(False).tag(sync=True)
    sentence = Unicode().tag(sync=True)
    answered = Unicode().tag(sync=True)
    problem = Unicode().tag(sync=True)

    def __init__(self, *, on_sentence: Callable[[str], tuple[list[str], Any]] | None = None, **state: Any) -> None:
        super().__init__(**({"asks": on_sentence is not None} | state))
        self._on_sentence = on_sentence
        self.observe(self._answer, names="sentence")

    @classmethod
    def example(cls) -> Self:
        words = ["the", "key", "to", "the", "cabinets", "is", "on", "the", "table"]
        return cls(tokens=words, scores=_known_scores(words))

    @classmethod
    def largest(cls) -> Self:
        return cls(tokens=[f"t{i}" for i in range(512)], scores=_drawn_scores(1, 12, 512))

    @property
    def alt(self) -> str:
        row = next((chosen for chosen in (self.locked, self.masked) if chosen >= 0), 0)
        weights = self._row(row)
        key = int(weights.argmax())
        place = f"layer {self.layer}, head {self.head}, {self.mask} mask"
        strongest = f"“{self.tokens[row]}” looks most at “{self.tokens[key]}” ({weights[key]:.2f})"
        return f"Attention between {len(self.tokens)} tokens, {place}: {strongest}."

    def check(self) -> None:
        given = [name for name in ("weights", "scores") if getattr(self, name) is not None]
        if len(given) != 1:
            raise TraitError(f"one of weights and scores is needed, got {' and '.join(given) or 'neither'}: give one")
        layers, heads, size, _ = getattr(self, given[0]).shape
        self._check_tokens(given[0], size)
        for name, low, count in (("layer", 0, layers), ("head", 0, heads), ("locked", -1, size), ("masked", -1, size)):
            if not low <= getattr(self, name) < count:
                raise TraitError(f"{name} needs to be from {low} to {count - 1}, got {getattr(self, name)}")
        if not self.temperature > 0:
            raise TraitError(f"temperature needs to be above 0, got {self.temperature}: 1 leaves the weights alone")

    @validate("weights")  # type: ignore[untyped-decorator]
    def _rows_sum_to_one(self, proposal: Any) -> Any:
        weights = proposal["value"]
        if weights is not None:
            _check_size("weights", weights)
            sums = weights.sum(-1, dtype=np.float64)
            worst = np.unravel_index(np.abs(sums - 1).argmax(), sums.shape)
            if abs(sums[worst] - 1) > 1e-2 or weights.min() < 0:
                at = tuple(int(i) for i in worst)
                wanted = "weights need rows that are not negative and sum to 1"
                raise TraitError(f"{wanted}, got {sums[worst]:.3g} at {at}: give scores= for what precedes the softmax")
        return weights

    @validate("scores")  # type: ignore[untyped-decorator]
    def _scores_fit(self, proposal: Any) -> Any:
        if proposal["value"] is not None:
            _check_size("scores", proposal["value"])
        return proposal["value"]

    @validate("predictions")  # type: ignore[untyped-decorator]
    def _predictions_complete(self, proposal: Any) -> Any:
        for entry in proposal["value"]:
            _check_prediction(entry)
        return proposal["value"]

    def _answer(self, _change: Any) -> None:
        """Show the sentence that was typed, or explain in one sentence why that failed."""
        if self._on_sentence is None:
            return
        try:
            found = self._attention_of(self._on_sentence, self.sentence)
        except Exception as error:  # whatever the learner's model raises
            found = {"problem": f"{type(error).__name__}: {error}"}
        with self.hold_sync(), self.hold_trait_notifications():
            for name, value in found.items():
                setattr(self, name, value)
            self.answered = self.sentence

    def _attention_of(self, model: Callable[[str], tuple[list[str], Any]], sentence: str) -> dict[str, Any]:
        tokens, scores = model(sentence)
        new = AttentionHeatmap(tokens=list(tokens), scores=scores)
        old: Any = self.weights if self.scores is None else self.scores
        given: Any = new.scores
        if given.shape[:2] != old.shape[:2]:
            raise TraitError(f"scores need {old.shape[:2]} layers and heads, as before: got {given.shape[:2]}")
        cleared: dict[str, Any] = {
            "weights": None,
            "padding": [],
            "predictions": [],
            "masked": -1,
            "locked": -1,
            "problem": "",
        }
        return {"tokens": new.tokens, "scores": given} | cleared

    def _check_tokens(self, array: str, size: int) -> None:
        if len(self.tokens) != size:
            advice = "leave no special token out"
            raise TraitError(f"tokens need one string a row of {array}, got {len(self.tokens)} for {size}: {advice}")
        if self.padding and len(self.padding) != size:
            raise TraitError(f"padding needs one boolean a token, got {len(self.padding)} for {size}: [] for none")
        for entry in self.predictions:
            if not 0 <= entry["position"] < size:
                raise TraitError(f"a prediction's position needs to be from 0 to {size - 1}, got {entry['position']}")

    def _row(self, row: int) -> np.ndarray[Any, Any]:
        """Return the weights of one query, (T,), as the browser computes them."""
        with np.errstate(divide="ignore"):
            scores = np.log(self.weights) if self.scores is None else self.scores
        logits = scores[self.layer, self.head, row] / self.temperature
        allowed = ~np.array(self.padding if self.mask_padding and self.padding else [False] * len(logits))
        if self.mask == "causal":
            allowed &= np.arange(len(logits)) <= row
        logits = np.where(allowed, logits, -np.inf)
        top = logits.max()
        if top == -np.inf:
            return np.zeros_like(logits)
        exponentials = np.exp(logits - top)
        return np.asarray(exponentials / exponentials.sum())


def _check_size(name: str, array: np.ndarray[Any, Any]) -> None:
    if array.nbytes > LARGEST:
        megabytes = array.nbytes / 2**20
        raise TraitError(f"{name} needs at most 32 MB, got {megabytes:.0f} MB: pass fewer layers, such as {name}[:1]")


def _check_prediction(entry: dict[str, Any]) -> None:
    if missing := [part for part in PARTS if part not in entry]:
        raise TraitError(f"a prediction needs {', '.join(PARTS)}, got none of {', '.join(missing)}: add it")
    for side in ("bidirectional", "causal"):
        if len(entry[side]) != len(entry["words"]) or not all(0 <= share <= 1 for share in entry[side]):
            wanted = f"{side} needs one probability from 0 to 1 for each of {len(entry['words'])} words"
            raise TraitError(f"{wanted}, got {entry[side]}: check position {entry['position']}")


def _known_scores(words: list[str]) -> NDArray[np.float32]:
    """Return four heads of one layer: what a verb is about, the previous word, the same word, and the next one."""
    about = {"is": "key", "key": "the", "cabinets": "the", "table": "the", "on": "table", "to": "cabinets"}
    place = np.arange(len(words))
    same = [[float(one == other) for other in words] for one in words]
    subject = [[float(about.get(one) == other) for other in words] for one in words]
    near = [np.equal.outer(place + by, place) for by in (-1, 1)]
    heads = np.array([subject, near[0], same, near[1]], dtype=np.float32)
    return 4 * heads[None] - 0.3 * np.abs(np.subtract.outer(place, place)).astype(np.float32)


def _drawn_scores(layers: int, heads: int, tokens: int) -> NDArray[np.float32]:
    drawn = np.random.default_rng(0).normal(0, 2, (layers, heads, tokens, tokens))
    return drawn.astype(np.float32)
