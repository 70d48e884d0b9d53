"""What the lesson shows before and after its experiments."""

from __future__ import annotations

import base64
import json
from importlib.resources import files
from typing import Any

import numpy as np
import plotly.graph_objects as go
import torch
from plotly.subplots import make_subplots
from studium_widgets import Spectrum
from studium_widgets.plots import COLOURS, figure, template
from torch import Tensor

from studium_topics.linformer.exact import Errors, Scaling
from studium_topics.linformer.experiment import Costs, Leaks
from studium_topics.linformer.model import attention_weights
from studium_topics.linformer.tasks import TASKS, WORDS


def opening() -> Spectrum:
    """Return the attention of three trained readers on one text each; `opening_matrices` of the reference made them."""
    saved = json.loads(files(__package__).joinpath("opening.json").read_text("utf-8"))
    matrices = [attention_weights(*(_whole(case[part]) for part in ("q", "k"))).numpy() for case in saved.values()]
    return Spectrum(matrix=np.stack(matrices), names=list(saved), cut=8, case=1)


def _whole(saved: dict[str, Any]) -> Tensor:
    whole = np.frombuffer(base64.b64decode(saved["bytes"]), dtype=np.int8).reshape(saved["shape"])
    return torch.tensor(whole * saved["step"], dtype=torch.float64)


def promises(costs: Costs) -> go.Figure:
    """Return the accuracy of full attention cut to a rank, and that of as many slots, for each task."""
    made = figure(x="Rank that P is cut to, or slots", y="Accuracy", height=420)
    for task, colour in zip(TASKS, COLOURS, strict=False):
        cost = costs.tasks[task]
        made.add_scatter(
            x=cost.ranks, y=cost.truncated, name=f"{task}, P cut", mode="lines", line={"color": colour, "dash": "dash"}
        )
        made.add_scatter(
            x=cost.slots,
            y=cost.projected,
            name=f"{task}, slots",
            mode="lines+markers",
            line={"color": colour, "dash": "solid"},
        )
    made.add_hline(y=1 / WORDS, line={"color": "#808891", "dash": "dot", "width": 1.5}, annotation_text="guessing")
    made.update_yaxes(range=[0, 1.05])
    ranks = costs.tasks[TASKS[0]].ranks
    return made.update_xaxes(type="log", tickvals=ranks, ticktext=[str(rank) for rank in ranks])


def projections(errors: Errors) -> go.Figure:
    """Return the errors of random projections, those of the formula, and those of the best matrices, over the slots."""
    made = figure(x="Slots k", y="Error relative to P V", height=400)
    for sharp, best, drawn, colour in zip(errors.sharpness, errors.best, errors.drawn, COLOURS, strict=False):
        kinds = ((best, f"best of rank k, scores × {sharp}", "dash"), (drawn, f"random, scores × {sharp}", "solid"))
        for values, name, dash in kinds:
            made.add_scatter(
                x=errors.slots, y=values, name=name, mode="lines+markers", line={"color": colour, "dash": dash}
            )
    made.update_yaxes(type="log", dtick="D2")
    return made.update_xaxes(type="log", tickvals=errors.slots, ticktext=[str(slots) for slots in errors.slots])


def growth(result: Scaling) -> go.Figure:
    """Return how many multiplications full and projected attention take over the length."""
    made = figure(x="Tokens n", y="Multiplications", height=340)
    for index, name, dash in ((0, "full", "dash"), (1, f"{result.slots} slots", "solid")):
        made.add_scatter(
            x=result.lengths,
            y=[pair[index] for pair in result.multiplications],
            name=name,
            mode="lines+markers",
            line={"color": COLOURS[1 - index], "dash": dash},
        )
    made.update_yaxes(type="log")
    return made.update_xaxes(type="log", tickvals=result.lengths, ticktext=[str(length) for length in result.lengths])


def influences(leaks: Leaks) -> go.Figure:
    """Return what reaches row i from token j, for each kind of causal attention; above the diagonal is the future."""
    made = make_subplots(cols=len(leaks.tables), subplot_titles=list(leaks.tables), shared_yaxes=True)
    for column, table in enumerate(leaks.tables.values(), start=1):
        made.add_heatmap(
            z=(table > 1e-9).double().numpy(),
            zmin=0,
            zmax=1,
            colorscale=[[0, "rgba(128, 136, 145, 0.15)"], [1, COLOURS[0]]],
            showscale=False,
            row=1,
            col=column,
        )
        last = len(table) - 0.5
        line = {"color": COLOURS[1], "width": 2}
        made.add_shape(type="line", x0=-0.5, y0=-0.5, x1=last, y1=last, line=line, row=1, col=column)
        made.update_xaxes(title_text="changed token j", row=1, col=column)
    made.update_yaxes(autorange="reversed", title_text="row i", col=1)
    return made.update_layout(template=template(), height=340)
