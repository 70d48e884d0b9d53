"""Interactive pictures for notebooks, each consisting of one Python class and one plain ES module.

Names are loaded on first use, so importing this package imports neither ipywidgets nor plotly.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from studium_widgets.arrays import Array
    from studium_widgets.attention import AttentionHeatmap
    from studium_widgets.base import Widget
    from studium_widgets.chart import Chart
    from studium_widgets.diagram import Diagram
    from studium_widgets.expert_router import ExpertRouter
    from studium_widgets.image_grid import ImageGrid
    from studium_widgets.memory_meter import MemoryMeter
    from studium_widgets.metric_scatter import MetricScatter
    from studium_widgets.modules import ModuleLinkError, link
    from studium_widgets.noise_schedule import NoiseSchedule
    from studium_widgets.particle_field import ParticleField
    from studium_widgets.plots import figure
    from studium_widgets.rank_explorer import RankExplorer
    from studium_widgets.roofline import Roofline
    from studium_widgets.rotary_dial import RotaryDial
    from studium_widgets.spectrum import Spectrum
    from studium_widgets.tensor_difference import TensorDifference
    from studium_widgets.tiling import AttentionTiling
    from studium_widgets.token_strip import TokenStrip

__all__ = [
    "Array",
    "AttentionHeatmap",
    "AttentionTiling",
    "Chart",
    "Diagram",
    "ExpertRouter",
    "ImageGrid",
    "MemoryMeter",
    "MetricScatter",
    "ModuleLinkError",
    "NoiseSchedule",
    "ParticleField",
    "RankExplorer",
    "Roofline",
    "RotaryDial",
    "Spectrum",
    "TensorDifference",
    "TokenStrip",
    "Widget",
    "figure",
    "link",
]

_HOME = {
    "Array": "arrays",
    "AttentionHeatmap": "attention",
    "AttentionTiling": "tiling",
    "Chart": "chart",
    "Diagram": "diagram",
    "ExpertRouter": "expert_router",
    "ImageGrid": "image_grid",
    "MemoryMeter": "memory_meter",
    "MetricScatter": "metric_scatter",
    "ModuleLinkError": "modules",
    "NoiseSchedule": "noise_schedule",
    "ParticleField": "particle_field",
    "RankExplorer": "rank_explorer",
    "Roofline": "roofline",
    "RotaryDial": "rotary_dial",
    "Spectrum": "spectrum",
    "TensorDifference": "tensor_difference",
    "TokenStrip": "token_strip",
    "Widget": "base",
    "figure": "plots",
    "link": "modules",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"studium_widgets has no {name!r}: it has {', '.join(__all__)}")
    return getattr(importlib.import_module(f"studium_widgets.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
