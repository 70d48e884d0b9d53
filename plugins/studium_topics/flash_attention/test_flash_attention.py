"""The exercises and the reference against PyTorch's attention, the meters, the kernels, and the formula's twin."""

import json
import math
import os
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from studium import Profile
from studium.catalogue.catalogue import load_catalogue
from studium.exercises.checking import check
from torch.nn.attention import SDPBackend, sdpa_kernel

from studium_topics.flash_attention import exercises, experiment, measure_gpu, reference
from studium_topics.flash_attention.probe import Traffic
from studium_topics.kits import training
from studium_topics.kits.peak import PeakTensor

SMOKE = Profile("smoke")
TILING = "widgets/studium_widgets/tiling_maths.js"
AT_NIGHT = pytest.param(exercises, id="exercises", marks=pytest.mark.heavy)  # has tests of its own
BOTH = pytest.mark.parametrize("ours", [AT_NIGHT, pytest.param(reference, id="reference")])


@pytest.fixture(autouse=True)
def one_thread():
    """Two threads on a busy machine wait for each other longer than they compute."""
    with training.one_thread():
        yield


def drawn(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def oracle(q, k, v, causal):
    mask = torch.ones(len(q), len(k), dtype=torch.bool).tril(len(k) - len(q)) if causal else None
    with sdpa_kernel(SDPBackend.MATH):
        return F.scaled_dot_product_attention(q[None, None], k[None, None], v[None, None], attn_mask=mask)[0, 0]


@BOTH
def test_forward_and_backward_equal_pytorchs_attention_in_float64(ours):
    for queries, keys in [(37, 37), (13, 50), (50, 13)]:
        for causal in [False, True]:
            parts = [drawn(queries, 12), drawn(keys, 12, seed=1), drawn(keys, 7, seed=2)]
            do = drawn(queries, 7, seed=3)
            inputs = [part.clone().requires_grad_() for part in parts]
            expected = oracle(*inputs, causal)
            o, lse = ours.flash_forward(*parts, 8, 16, causal)
            torch.testing.assert_close(o, expected.detach(), rtol=0, atol=1e-13)
            found = ours.flash_backward(*parts, o, lse, do, 8, 16, causal)
            blind = (
                max(0, queries - keys) if causal else 0
            )  # autograd through the oracle gives nan for rows that see nothing
            if not blind:
                for one, other in zip(found, torch.autograd.grad(expected, inputs, do), strict=True):
                    torch.testing.assert_close(one, other, rtol=0, atol=1e-12)
            else:
                assert torch.equal(o[:blind], torch.zeros(blind, 7, dtype=o.dtype))
                assert not any(part.isnan().any() for part in found)


def materialised(q, k, v, block_rows, block_columns, causal=False):
    s = q @ k.mT / math.sqrt(q.shape[1])
    if causal:
        s = s.masked_fill(torch.ones_like(s, dtype=torch.bool).triu(len(k) - len(q) + 1), -math.inf)
    lse = s.logsumexp(1)
    return s.softmax(1).nan_to_num(0.0) @ v, lse


def looks_tiled(q, k, v, block_rows, block_columns, causal=False):
    hidden = torch.ones(len(q), len(k), dtype=torch.bool).triu(len(k) - len(q) + 1) if causal else None
    o, lse = v.new_zeros(len(q), v.shape[1]), q.new_zeros(len(q))
    for top in range(0, len(q), block_rows):
        rows = slice(top, top + block_rows)
        s = torch.cat([q[rows] @ part.mT for part in k.split(block_columns)], 1) / math.sqrt(q.shape[1])
        if hidden is not None:
            s = s.masked_fill(hidden[rows], -math.inf)
        o[rows], lse[rows] = s.softmax(1).nan_to_num(0.0) @ v, s.logsumexp(1)
    return o, lse


def test_a_fake_that_makes_the_whole_table_fails_and_hears_why():
    for fake in [materialised, looks_tiled]:
        result = check("flash-attention", load_catalogue()["flash-attention"].exercise("flash_forward"), fake)
        failed = {test.name: test.message for test in result.tests if not test.passed}
        message = failed["makes no tensor larger than its inputs and a tile"]
        assert "no scores, probabilities or mask larger than a tile may exist" in message
        assert "is exact for all sizes, with and without a mask" not in failed


def test_a_fake_backward_pass_that_makes_the_whole_table_fails():
    def fake(q, k, v, o, lse, do, block_rows, block_columns, causal=False):
        p = torch.exp(q @ k.mT / math.sqrt(q.shape[1]) - lse[:, None])
        p = p.masked_fill(torch.ones_like(p, dtype=torch.bool).triu(len(k) - len(q) + 1), 0.0) if causal else p
        ds = p * (do @ v.mT - (do * o).sum(-1, keepdim=True)) / math.sqrt(q.shape[1])
        return ds @ k, ds.mT @ q, p.mT @ do

    result = check("flash-attention", load_catalogue()["flash-attention"].exercise("flash_backward"), fake)
    failed = {test.name: test.message for test in result.tests if not test.passed}
    assert "more than 32 MB of memory" in failed["makes no tensor larger than its inputs and a tile"]


def test_the_meter_counts_memory_and_not_views():
    x = torch.zeros(10, 10)
    with PeakTensor() as probe:
        x[2:].mT.expand(7, 10, 8)
        x.add_(1)
    assert (probe.largest, probe.operations > 0) == (0, True)
    with PeakTensor() as probe:
        (x[:3] + 1).sum()
    assert (probe.largest, probe.made) == (30, (3, 10))
    with PeakTensor() as probe:
        torch.einsum("ij,kj->ik", x, x[:4]).softmax(-1)
    assert probe.largest == 40


def test_traffic_reads_a_block_again_once_another_one_took_its_place():
    x = torch.zeros(8, 4)
    with Traffic(16, x) as probe:
        for block in (x[:4], x[:4], x[4:], x[:4]):
            block.sum(1)
    assert (probe.read, probe.written) == (48, 0)
    with Traffic(16, x) as probe:
        y = x + 1  # 32 numbers do not fit
        y.mul_(2)
        probe.results(y, y[:0].sum(0))
    assert (probe.read, probe.written) == (32 + 32, 32 + 32 + 4)
    with Traffic(16, x) as probe:
        made = torch.zeros_like(x)
        made[:2] = x[:2] * 2
    assert (probe.read, probe.written) == (8, 8)


@BOTH
def test_what_is_counted_is_what_the_formula_predicts(ours):
    for length, sram in [(96, 1024), (100, 1024), (77, 2048), (64, 100_000)]:
        q, k, v = experiment.drawn(length, 0)
        block = min(length, sram // 128)
        with Traffic(sram, q, k, v) as probe:
            probe.results(*exercises.flash_forward(q, k, v, block, block))
        assert probe.moved == ours.hbm_floats(length, 32, sram)[1]


@BOTH
def test_the_widget_counts_as_the_formula_does(ours, call_js):
    for length, width, sram in ((64, 8, 512), (50, 4, 200), (37, 16, 5000)):
        block = max(1, min(length, sram // (4 * width)))
        shape = {"width": width, "rows": block, "columns": block, "causal": False, "order": "rows"}
        standard = call_js(TILING, "standard", length, width)
        found = (standard["read"] + standard["written"], call_js(TILING, "moved", length, shape))
        assert found == ours.hbm_floats(length, width, sram)


@BOTH
def test_the_widget_visits_the_causal_tiles(ours, call_js):
    for size, rows, columns in ((12, 4, 3), (13, 3, 5), (9, 16, 2)):
        shape = {"size": size, "rows": rows, "columns": columns, "causal": True, "order": "rows"}
        found = [tuple(pair) for pair in call_js(TILING, "tiles", shape)]
        assert found == sorted(ours.causal_tiles(size, size, rows, columns))


def test_the_reference_takes_batches_of_heads_in_half_precision_and_has_a_gradient():
    q, k, v, do = (drawn(2, 3, 40, 16, seed=seed) for seed in range(4))
    exact = [part.clone().requires_grad_() for part in (q, k, v)]
    expected = F.scaled_dot_product_attention(*exact, is_causal=True)
    gradients = torch.autograd.grad(expected, exact, do)
    for dtype, tolerance in ((torch.float64, 1e-12), (torch.float32, 1e-5), (torch.bfloat16, 4e-2)):
        parts = [part.to(dtype).requires_grad_() for part in (q, k, v)]
        o = reference.attention(*parts, causal=True)
        assert o.dtype == dtype
        torch.testing.assert_close(o.double(), expected, rtol=tolerance, atol=tolerance)
        for one, other in zip(torch.autograd.grad(o, parts, do.to(dtype)), gradients, strict=True):
            torch.testing.assert_close(one.double(), other, rtol=2 * tolerance, atol=2 * tolerance)


INTERPRETED = """
import json, sys, torch
from studium_topics.flash_attention import reference
torch.set_num_threads(1)
out = []
for queries, keys, width, dtype, causal in json.loads(sys.argv[1]):
    drawn = lambda n, seed: torch.randn(1, 2, n, width, generator=torch.Generator().manual_seed(seed))
    parts = [drawn(queries, 0), drawn(keys, 1), drawn(keys, 2)]
    do = drawn(queries, 3).to(getattr(torch, dtype))
    ours = [part.to(do.dtype).requires_grad_() for part in parts]
    exact = [part.detach().double().requires_grad_() for part in ours]
    o, expected = (reference.attention(*p, causal, b) for p, b in ((ours, "triton"), (exact, "torch")))
    found = (o, *torch.autograd.grad(o, ours, do))
    wanted = (expected, *torch.autograd.grad(expected, exact, do.double()))
    out.append([float((one.detach().double() - other.detach()).abs().max()) for one, other in zip(found, wanted)])
print(json.dumps(out))
"""
CASES = [
    (40, 40, 16, "float32", True),
    (33, 70, 32, "float32", True),
    (50, 20, 16, "float32", True),
    (37, 45, 16, "float32", False),
    (128, 128, 16, "float32", True),
    (48, 48, 64, "float16", True),
]


@pytest.fixture(scope="module")
def interpreted():
    """Errors of o, dq, dk, dv of the Triton kernels in the interpreter, in a process whose Triton was born so."""
    pytest.importorskip("triton", reason="the kernels need Triton: pip install 'studium[gpu]'")
    command = [sys.executable, "-W", "error", "-c", INTERPRETED, json.dumps(CASES)]
    done = subprocess.run(command, env=os.environ | {"TRITON_INTERPRET": "1"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return dict(zip(CASES, json.loads(done.stdout), strict=True))


def test_the_kernels_in_the_interpreter_are_exact_to_their_precision(interpreted):
    for case in CASES:
        assert max(interpreted[case]) < (1e-5 if "float32" in case else 5e-3)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_cuda_the_kernels_are_exact_to_bfloat16():
    for queries, keys, width in [(256, 256, 64), (256, 256, 128), (100, 333, 32), (200, 150, 16)]:
        for causal in [False, True]:
            q, do = (drawn(2, 3, queries, width, seed=seed).cuda().bfloat16() for seed in (0, 3))
            k, v = (drawn(2, 3, keys, width, seed=seed).cuda().bfloat16() for seed in (1, 2))
            ours = [part.clone().requires_grad_() for part in (q, k, v)]
            exact = [part.double().requires_grad_() for part in (q, k, v)]
            found, expected = reference.attention(*ours, causal), reference.attention(*exact, causal, "torch")
            torch.testing.assert_close(found.double(), expected, rtol=2e-2, atol=2e-2)
            pairs = zip(
                torch.autograd.grad(found, ours, do), torch.autograd.grad(expected, exact, do.double()), strict=True
            )
            for one, other in pairs:
                torch.testing.assert_close(one.double(), other, rtol=4e-2, atol=4e-2)


def test_without_a_gpu_the_measurement_says_so(capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert measure_gpu.main() == 1
    assert "this machine has none" in capsys.readouterr().out
    assert measure_gpu.operations(torch.empty(2, 3, 10, 4), backward=False) == 4 * 6 * 100 * 4 / 2


@BOTH
def test_the_experiments_run_with_the_exercises_and_with_the_reference(ours):
    exact = experiment.exactness(ours.flash_forward, ours.flash_backward, profile=SMOKE)
    assert exact.error < 1e-12
    assert exact.gradients < 1e-11
    assert exact.work == pytest.approx(7 / 6)
    assert experiment.movement(ours.flash_forward, ours.hbm_floats, profile=SMOKE).gap == 0
    joined = experiment.streams(ours.online_update, ours.flash_forward, ours.merge_partials, profile=SMOKE)
    assert joined.workers < 1e-12 < 0.05 < joined.forgetful


@pytest.mark.heavy
@pytest.mark.parametrize("width", [64, 128])
@pytest.mark.parametrize("kernel", ["_forward", "_backward_keys", "_backward_queries"])
def test_the_kernels_compile_for_an_h100_and_use_its_tensor_cores(kernel, width):
    pytest.importorskip("triton", reason="the kernels need Triton: pip install 'studium[gpu]'")
    from triton import compiler
    from triton.backends.compiler import GPUTarget

    from studium_topics.flash_attention import triton_kernels

    tuned = getattr(triton_kernels, kernel)
    config = tuned.configs[1]
    constants = {"D": width, "CAUSAL": True, "EVEN": True, "PRECISION": "tf32", **config.kwargs}
    kinds = dict.fromkeys(constants, "constexpr") | {"LSE": "*fp32", "DELTA": "*fp32", "N": "i32", "M": "i32"}
    kinds |= {"scale": "fp32", "softmax_scale": "fp32"}
    names = tuned.fn.arg_names
    signature = {name: kinds.get(name, "*bf16") for name in names}
    aligned = {(i,): [["tt.divisibility", 16]] for i, name in enumerate(names) if signature[name][0] in "*i"}
    source = compiler.ASTSource(fn=tuned.fn, signature=signature, constexprs=constants, attrs=aligned)
    options = {"num_warps": config.num_warps, "num_stages": config.num_stages, "enable_fp_fusion": True}
    made = compiler.compile(source, target=GPUTarget("cuda", 90, 32), options=options)
    assert "wgmma.mma_async" in made.asm["ptx"]
    assert made.metadata.shared <= 227 * 1024
