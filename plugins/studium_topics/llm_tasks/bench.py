"""The format bench: one clause as eight tasks, the tokens that the loss sees, and packed rows with their mask."""

from __future__ import annotations

from typing import Self

from studium_widgets import Widget
from traitlets import Bool, Enum, Int, List, TraitError, Unicode

from studium_topics.llm_tasks import tape

LOSSES = ("answer", "everything", "late")
LONGEST = 60  # words of one conversation
CLAUSE = ("these", "small", "dogs", "sleep", ".")


class FormatBench(Widget):
    """A conversation as one line of tokens, those that the loss sees lit, and what each token may look at.

    names: the tasks. turns: for each task its messages in one list, role, text, role, text, …; roles are "system",
    "user" and "assistant", and words are separated by spaces, up to 60 in one task. metrics: how each task is judged.
    task: which one is shown. loss: what the loss sees, one of LOSSES: the answers, every token, or the answers read one
    place too late. together: how many conversations share a row, 1 to 3: this task's and those of the next tasks.
    blocks: whether each token looks at its own example alone. reset: whether positions begin at 0 in each example.
    Raises TraitError where they do not fit.
    """

    _script = "bench.js"
    _style = "bench.css"

    names = List(Unicode(), minlen=1, maxlen=12).tag(sync=True)
    turns = List(List(Unicode()), minlen=1, maxlen=12).tag(sync=True)
    metrics = List(Unicode(), minlen=1, maxlen=12).tag(sync=True)
    task = Int(0, min=0, max=11).tag(sync=True)
    loss = Enum(LOSSES, "answer").tag(sync=True)
    together = Int(1, min=1, max=3).tag(sync=True)
    blocks = Bool(True).tag(sync=True)
    reset = Bool(True).tag(sync=True)

    @classmethod
    def tasks(cls, **options: object) -> Self:
        """Return the widget with one clause in eight tasks; options as above."""
        clause = " ".join(CLAUSE)
        rows = [
            ("classification", tape.turn("number", CLAUSE), "accuracy"),
            ("tagging", tape.turn("tag", CLAUSE), "F1 of the tags"),
            ("extraction", tape.turn("noun", CLAUSE), "exact match and F1"),
            ("question answering", tape.ask(f"{clause} answer : small dogs ?", "sleep"), "exact match and F1"),
            ("summarisation", tape.turn("summarise", CLAUSE), "ROUGE, or human judges"),
            ("translation", tape.turn("translate", CLAUSE), "BLEU or chrF"),
            ("code", tape.ask("code : the third word of s", "s . split ( ) [ 2 ]"), "pass@k: run the tests"),
            ("chat", [*tape.ask("do dogs sleep ?", "yes ."), *tape.ask("and cats ?", "they wait .")], "win rate"),
        ]
        turns = [[part for message in talk for part in (message["role"], message["content"])] for _, talk, _ in rows]
        names, metrics = [name for name, _, _ in rows], [metric for _, _, metric in rows]
        return cls(names=names, turns=turns, metrics=metrics, **options)

    @classmethod
    def example(cls) -> Self:
        return cls.tasks(task=4, together=3)

    @property
    def alt(self) -> str:
        seen = {"answer": "the answer", "everything": "every token", "late": "the tokens one place late"}[self.loss]
        row = "alone in its row" if self.together == 1 else f"packed into a row of {self.together} conversations"
        return f"The task {self.names[self.task]} as a line of tokens, {row}; the loss sees {seen}."

    def check(self) -> None:
        counts = len(self.names), len(self.turns), len(self.metrics)
        _require(len(set(counts)) == 1, f"each task needs its turns and its metric, got {counts}: make them as many")
        _require(self.task < len(self.names), f"task goes up to {len(self.names) - 1}, got {self.task}")
        for name, turns in zip(self.names, self.turns, strict=True):
            roles = set(turns[::2])
            fine = turns and len(turns) % 2 == 0 and roles <= {"system", "user", "assistant"}
            _require(bool(fine), f"the turns of {name} need to be role, text, role, text, …, got the roles {roles}")
            words = sum(len(text.split()) for text in turns[1::2])
            _require(words <= LONGEST, f"{name} needs {LONGEST} words at most, got {words}: shorten it")


def _require(fine: bool, sentence: str) -> None:
    if not fine:
        raise TraitError(sentence)
