"""Frame times of every widget at its largest size while a control is dragged: prints, judges nothing (`make bench`)."""

from __future__ import annotations

import statistics

import pytest
import torch
from studium_widgets import AttentionHeatmap, NoiseSchedule, RankExplorer, Widget

DRAG = """const input = document.querySelector('input[aria-label="{name}"]');
input.value = {low} + Math.round(({high} - {low}) * (n % 60) / 60);
input.dispatchEvent(new Event("input", {{ bubbles: true }}));"""
SET = "window.views[0].model.set('{name}', {value})"


def attention(view: str, heads: int) -> Widget:
    size = 512
    scores = torch.randn(1, heads, size, size, generator=torch.Generator().manual_seed(0)) * 2
    return AttentionHeatmap(tokens=[f"t{i}" for i in range(size)], scores=scores, view=view)


CASES = {
    "attention, 512 tokens, matrix": (
        lambda: attention("matrix", 1),
        SET.format(name="temperature", value="0.5 + n / 60"),
    ),
    "attention, 512 tokens, 12 heads": (
        lambda: attention("matrix", 12),
        SET.format(name="temperature", value="0.5 + n / 60"),
    ),
    "attention, 512 tokens, arcs": (lambda: attention("arcs", 1), SET.format(name="temperature", value="0.5 + n / 60")),
    "noise schedule, T = 1000, t": (lambda: NoiseSchedule(sampling_steps=1000), DRAG.format(name="t", low=0, high=999)),
    "noise schedule, T": (lambda: NoiseSchedule(sampling_steps=1000), DRAG.format(name="Steps T", low=0, high=24)),
    "noise schedule, sampling steps": (
        lambda: NoiseSchedule(sampling_steps=1000),
        DRAG.format(name="Sampling steps", low=0, high=22),
    ),
    "rank explorer, 64 x 64, rank": (
        lambda: RankExplorer(update="noisy"),
        SET.format(name="rank", value="1 + (n * 7) % 64"),
    ),
    "rank explorer, 64 x 64, rank, factors learned": (
        lambda: RankExplorer(factors="learned", update="noisy"),
        SET.format(name="rank", value="1 + (n * 7) % 64"),
    ),
    "rank explorer, 64 x 64, alpha": (
        lambda: RankExplorer(update="noisy"),
        SET.format(name="alpha", value="1 + n % 64"),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_frame_times(mount, case):
    widget, step = CASES[case]
    page = mount(widget())
    page.wait_for_timeout(1500)  # what starts in the background ends first
    times = sorted(page.frame_times(step))
    print(f"\n{case}: median {statistics.median(times):.1f} ms, 95 % below {times[int(0.95 * len(times))]:.1f} ms")
