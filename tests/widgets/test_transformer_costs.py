"""Memory meter and roofline: their costs against transformers, torch and published numbers, and both in a browser."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from studium_widgets import MemoryMeter, Roofline
from torch.nn import functional
from traitlets import TraitError

COSTS = "widgets/studium_widgets/transformer_costs.js"
MEMORY = "widgets/studium_widgets/memory_meter_maths.js"
ROOF = "widgets/studium_widgets/roofline_maths.js"
SMALL = {"layers": 2, "width": 24, "heads": 6, "kvHeads": 2, "headDim": 4, "ffn": 56, "vocabulary": 50, "window": 0}
GATED = SMALL | {"gated": True, "tied": False, "positions": 0}
PUBLISHED = {
    "tinyllama-1.1b": 1_100_048_384,
    "llama-3.2-1b": 1_235_814_400,
    "llama-2-7b": 6_738_415_616,
    "mistral-7b": 7_241_732_096,
    "llama-3-8b": 8_030_261_248,
    "llama-2-13b": 13_015_864_320,
    "llama-3-70b": 70_553_706_496,
}


def shape(call_js: Any, model: str, kv_heads: int = 0, window: int = -1) -> dict[str, Any]:
    return call_js(MEMORY, "shape", model, kv_heads, window)


@pytest.mark.browser
def test_parameters_are_those_of_the_published_models(call_js):
    for name, count in PUBLISHED.items():
        assert call_js(COSTS, "parameters", shape(call_js, name)) == count
    assert call_js(COSTS, "parameters", shape(call_js, "gpt-3-175b")) == pytest.approx(175e9, rel=0.003)


@pytest.mark.heavy
@pytest.mark.browser
def test_parameters_are_those_of_transformers(call_js):
    transformers = pytest.importorskip("transformers")
    sizes = {"hidden_size": 24, "intermediate_size": 56, "vocab_size": 50}
    llama = transformers.LlamaConfig(
        num_hidden_layers=2, num_attention_heads=6, num_key_value_heads=2, head_dim=4, **sizes
    )
    model = transformers.LlamaForCausalLM(llama)
    assert call_js(COSTS, "parameters", GATED) == sum(weight.numel() for weight in model.parameters())
    gpt2 = transformers.GPT2Config(n_embd=24, n_layer=2, n_head=6, n_inner=56, vocab_size=50, n_positions=32)
    plain = SMALL | {"kvHeads": 6, "gated": False, "tied": True, "positions": 32}
    expected = sum(weight.numel() for weight in transformers.GPT2LMHeadModel(gpt2).parameters())
    assert call_js(COSTS, "parameters", plain) == expected


@pytest.mark.browser
def test_the_cache_has_the_known_sizes(call_js):
    for model, kv_heads, context, gibibytes in [
        ("llama-2-7b", 0, 4096, 2.0),
        ("llama-3-8b", 0, 8192, 1.0),
        ("llama-3-70b", 0, 8192, 2.5),
        ("llama-3-8b", -1, 8192, 4.0),
        ("llama-3-8b", 1, 8192, 0.125),
        ("mistral-7b", 0, 32768, 0.5),
    ]:
        options = {"batch": 1, "context": context, "bytes": 2}
        assert call_js(COSTS, "kvBytes", shape(call_js, model, kv_heads), options) == gibibytes * 2**30


@pytest.mark.browser
def test_training_keeps_sixteen_bytes_a_parameter_with_adam_and_fewer_with_adapters(call_js):
    options = {"task": "training", "batch": 1, "context": 128, "weight": 2, "cache": 2, "optimiser": "adam", "rank": 0}
    options |= {"checkpointing": True, "flash": True}
    model = shape(call_js, "llama-2-7b")
    count = PUBLISHED["llama-2-7b"]
    parts = call_js(MEMORY, "memory", model, options)
    assert parts[:4] == [2 * count, 2 * count, 4 * count, 8 * count]  # Rajbhandari et al. 2020, section 3.1
    assert call_js(MEMORY, "memory", model, options | {"optimiser": "adam-8bit"})[3] == 2 * count
    assert call_js(MEMORY, "memory", model, options | {"optimiser": "sgd", "weight": 4})[1:4] == [4 * count, 0, 0]
    adapter = call_js(COSTS, "adapterSize", {"layers": 96, "width": 12288}, 4)
    assert adapter == 18_874_368  # Hu et al. 2021, table 4: 18.9 million for GPT-3 at rank 4
    lora = call_js(MEMORY, "memory", model, options | {"rank": 8})
    assert lora[0] == 2 * count + 2 * call_js(COSTS, "adapterSize", model, 8)
    assert sum(lora[1:4]) == 14 * call_js(COSTS, "adapterSize", model, 8)


class Norm(torch.autograd.Function):
    """RMSNorm that keeps its input alone, as a fused kernel does."""

    @staticmethod
    def forward(context: Any, x: torch.Tensor) -> torch.Tensor:
        context.save_for_backward(x)
        return functional.rms_norm(x, x.shape[-1:])

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError


@pytest.mark.browser
def test_activations_of_a_gated_layer_are_what_torch_saves(call_js):
    batch, context, width, heads, groups, size, ffn = 2, 8, 24, 6, 2, 4, 56
    weights = {name: torch.randn(sizes, requires_grad=True) for name, sizes in {
        "q": (heads * size, width), "k": (groups * size, width), "v": (groups * size, width),
        "o": (width, heads * size),
        "gate": (ffn, width), "up": (ffn, width), "down": (width, ffn),
    }.items()}  # fmt: skip
    known = {weight.untyped_storage().data_ptr() for weight in weights.values()}
    kept: dict[int, int] = {}

    def pack(saved: torch.Tensor) -> torch.Tensor:
        place = saved.untyped_storage().data_ptr()
        if place not in known:
            kept[place] = saved.untyped_storage().nbytes() // 4
        alive.append(saved)
        return saved

    alive: list[torch.Tensor] = []  # a freed storage's place may be given out again
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda saved: saved):
        x = torch.randn(batch, context, width, requires_grad=True)
        h = Norm.apply(x)
        q, k, v = (functional.linear(h, weights[name]).unflatten(-1, (-1, size)).transpose(1, 2) for name in "qkv")
        q = q.unflatten(1, (groups, -1)).flatten(2, 3)  # the queries of a group in one product: keys are not copied
        probabilities = torch.softmax(q @ k.transpose(-1, -2), -1)
        mixed = (probabilities @ v).unflatten(2, (-1, context)).flatten(1, 2).transpose(1, 2).flatten(2)
        y = x + functional.linear(mixed, weights["o"])
        z = Norm.apply(y)
        wide = functional.silu(functional.linear(z, weights["gate"])) * functional.linear(z, weights["up"])
        out = y + functional.linear(wide, weights["down"])
    assert out.requires_grad
    options = {"batch": batch, "context": context, "flash": False}
    assert call_js(COSTS, "layerActivations", GATED, options) == 2 * sum(kept.values())
    gpt = SMALL | {"gated": False, "heads": 96, "width": 12288}
    found = call_js(COSTS, "layerActivations", gpt, {"batch": 1, "context": 2048, "flash": False})
    assert found == 2048 * 12288 * (34 + 80)  # Korthikanti et al. 2022: 5 a s / h = 80 for GPT-3


@pytest.mark.browser
def test_work_is_counted_pair_by_pair(call_js):
    options = {"batch": 3, "context": 10, "weightBytes": 2, "cacheBytes": 1}
    model = GATED | {"window": 4}
    multiplied = call_js(COSTS, "multiplied", model)
    allowed = np.tri(10) - np.tri(10, k=-4)
    found = call_js(COSTS, "prefill", model, options)
    assert found["flops"] == 2 * multiplied * 30 + 4 * 2 * 24 * allowed.sum() * 3
    one = call_js(COSTS, "decode", model, options)
    assert one["flops"] == 2 * multiplied * 3 + 4 * 2 * 24 * 4 * 3
    assert one["bytes"] == 2 * multiplied + 2 * 2 * 2 * 4 * 4 * 3
    heads = {"heads": 16, "headDim": 64}
    standard = call_js(COSTS, "attention", heads, {"batch": 1, "context": 4096, "flash": False})
    flash = call_js(COSTS, "attention", heads, {"batch": 1, "context": 4096, "flash": True})
    assert standard["bytes"] == 16 * 2 * (4 * 4096**2 + 4 * 4096 * 64)
    assert flash["bytes"] == 16 * 2 * (2 * 4096 * 64 * 32 + 2 * 4096 * 64)
    assert standard["flops"] == flash["flops"]


@pytest.mark.browser
def test_points_lie_on_the_roof_and_a_drag_finds_the_batch(call_js):
    card = call_js(COSTS, "attainable", {"peak": 100, "bandwidth": 2}, 10)
    assert card == 20
    state = {"model": "llama-3-8b", "kvHeads": 0, "batch": 1, "context": 2048, "weightBytes": 2, "cacheBytes": 2}
    a100 = {"peak": 312e12, "bandwidth": 2039e9}
    points = {point["name"]: point for point in call_js(ROOF, "points", state | {"card": a100})}
    assert points["decoding a token"]["bound"] == "memory"
    assert points["decoding a token"]["intensity"] == pytest.approx(1, abs=0.1)
    assert points["attention while decoding"]["intensity"] == pytest.approx(32 / 8)  # query heads over KV heads
    assert points["reading the prompt"]["rate"] == 312e12
    one = points["decoding a token"]
    assert one["time"] == pytest.approx(one["flops"] / one["rate"])
    measured = call_js(ROOF, "measuredPoints", np.array([[10.0, 10.195e12]]), ["mine"], a100)
    assert measured[0]["share"] == pytest.approx(0.5)


@pytest.mark.browser
def test_the_meter_answers_to_its_controls(mount):
    page = mount(MemoryMeter.example(), width=320)
    said = page.locator(".st-summary")
    assert said.inner_text().startswith("Llama 3 8B, inference, 16 × 8,192 tokens: 33.2 GB")
    page.get_by_label("Key and value heads").select_option("1")
    page.wait_for_function("document.querySelector('.st-summary').textContent.includes('17.7 GB')")
    assert page.state()["kv_heads"] == 1
    page.get_by_role("radio", name="Train").press("Space")
    page.get_by_label("Optimiser").select_option("sgd")
    page.get_by_label("LoRA").press("Space")
    page.get_by_text("Show as table").click()
    page.wait_for_function("document.querySelectorAll('tbody tr').length >= 5")
    assert page.get_by_role("rowheader").all_inner_texts()[:2] == ["weights", "gradients"]
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    page.evaluate("window.views[0].abort()")
    assert page.evaluate("window.views[0].model.listening") == 0


@pytest.mark.heavy
@pytest.mark.browser
def test_the_rooflines_points_move_by_pointer_and_by_arrows(mount):
    page = mount(Roofline.example())
    page.drawn()
    assert (
        "47 % of the roof" in page.get_by_role("listitem").filter(has_text="standard attention, measured").inner_text()
    )
    canvas = page.get_by_role("application")
    canvas.press("ArrowRight")
    canvas.press("ArrowUp")
    assert (page.state()["batch"], page.state()["context"]) == (16, 2896)
    box = canvas.bounding_box()
    page.drawn()
    found = page.evaluate(PLACE)
    page.mouse.move(box["x"] + found[0], box["y"] + found[1])
    page.mouse.down()
    page.mouse.move(box["x"] + found[0] + 140, box["y"] + found[1], steps=3)
    page.mouse.up()
    assert page.state()["batch"] > 64
    page.evaluate("window.views[0].abort()")
    assert page.evaluate("window.views[0].model.listening") == 0


# Where point 1 is drawn: the canvas is searched for the first disc of the accent colour on the slope.
PLACE = """(() => {
  const canvas = document.querySelector("canvas");
  const { width, height } = canvas;
  const pixels = canvas.getContext("2d").getImageData(0, 0, width, height).data;
  const discs = [];
  for (let x = 0; x < width; x++) for (let y = 0; y < height; y++) {
    const at = 4 * (y * width + x);
    if (pixels[at] === 0 && pixels[at + 1] === 104 && pixels[at + 2] === 168) discs.push([x, y]);
  }
  const starts = [];
  for (const [x, y] of discs) {
    const near = starts.find((disc) => Math.hypot(disc.x - x, disc.y - y) < 24);
    if (near) Object.assign(near, { n: near.n + 1, sx: near.sx + x, sy: near.sy + y });
    else starts.push({ x, y, n: 1, sx: x, sy: y });
  }
  const centres = starts.map(({ n, sx, sy }) => [sx / n, sy / n]);
  return centres[0]; // from the left: decoding a token, then reading the prompt
})()"""


def test_the_alternative_texts_name_model_and_card():
    assert MemoryMeter(task="training", lora=True).alt == (
        "Memory of Llama 3 8B for training: batch 1, context 8192, adam, LoRA of rank 8, on h100."
    )
    assert Roofline.example().alt == (
        "Roofline of the card a100-80 with the work of Llama 3 8B at batch 8 and context 2048 and 2 measured kernels."
    )


def test_what_does_not_fit_is_said_in_one_sentence():
    for widget, state, message in [
        (MemoryMeter, {"batch": 0}, "batch needs to be from 1 to 1024, got 0"),
        (MemoryMeter, {"kv_heads": 3}, "kv_heads need to divide the 32 heads of Llama 3 8B, got 3"),
        (MemoryMeter, {"window": -2}, "window needs to be from -1 to 131072, got -2"),
        (MemoryMeter, {"rank": 0}, "rank needs to be from 1 to 1024, got 0"),
        (Roofline, {"context": 64}, "context needs to be from 128 to 131072, got 64"),
        (Roofline, {"measured": [[1.0, 2.0]]}, "names need one string for each of 1 kernels, got 0"),
        (Roofline, {"measured": [[0.0, 2.0]], "names": ["a"]}, "measured needs numbers above 0, got 0"),
    ]:
        with pytest.raises(TraitError, match=message) as caught:
            widget(**state)
        assert str(caught.value)[0].islower()
