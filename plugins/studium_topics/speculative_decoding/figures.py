"""What the lesson shows before and after its experiments."""

from __future__ import annotations

from collections.abc import Callable

import plotly.graph_objects as go
from studium_widgets.plots import COLOURS, figure

from studium_topics.speculative_decoding.models import DRAFTS
from studium_topics.speculative_decoding.speculation import SpeculativeLanes
from studium_topics.speculative_decoding.writing import GAMMAS, Run


def opening() -> SpeculativeLanes:
    """Return both lanes, with a target that knows pairs of words and a draft that knows words alone."""
    return SpeculativeLanes.of_sentences(turns=2, agreement=0.5, gamma=4)


def yields(runs: list[Run], expected_tokens: Callable[[float, int], float], temperature: float = 1.0) -> go.Figure:
    """Return tokens in a pass over gamma: as measured, and by the formula from the share that was kept."""
    made = figure(x="Drafted tokens in a pass, γ", y="Tokens that a pass adds", height=340)
    for draft, colour, dash in zip(DRAFTS, COLOURS, ("solid", "dash"), strict=False):
        mine = [run for run in runs if run.draft == draft and run.temperature == temperature]
        share = sum(run.share for run in mine) / len(mine)
        lengths = list(range(1, max(GAMMAS) + 1))
        formula = [expected_tokens(share, gamma) for gamma in lengths]
        line = {"color": colour, "dash": dash}
        made.add_scatter(x=lengths, y=formula, name=f"formula, α = {share:.2f}", mode="lines", line=line)
        measured = {"x": [run.gamma for run in mine], "y": [run.per_pass for run in mine]}
        made.add_scatter(**measured, name=draft, mode="markers", marker={"color": colour, "size": 10})
    return made
