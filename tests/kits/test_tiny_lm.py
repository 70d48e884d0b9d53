import math

import pytest
import torch
from studium_topics.kits.tiny_lm import TinyLM, base_model
from torch import nn
from torch.nn.functional import cross_entropy, gelu


def ids(batch=2, length=9, vocabulary=31):
    return torch.randint(vocabulary, (batch, length), generator=torch.Generator().manual_seed(0))


def linears(model):
    return {name: module for name, module in model.named_modules() if isinstance(module, nn.Linear)}


def test_logits_have_one_row_for_each_token_and_one_column_for_each_word():
    assert base_model(31)(ids()).shape == (2, 9, 31)


def test_linears_have_the_names_that_adapters_look_for():
    names = [f"layers.{n}.{part}" for n in (0, 1) for part in
             ("attention.q", "attention.k", "attention.v", "attention.o", "mlp.up", "mlp.down")]  # fmt: skip
    assert list(linears(base_model(31))) == [*names, "head"]
    assert all(module.bias is None for module in linears(base_model(31)).values())


def test_it_has_112_thousand_weights_with_108_characters():
    assert sum(p.numel() for p in base_model(108).parameters()) == 112_448


def test_rank_one_on_all_linears_costs_what_the_lora_lesson_counts():
    sizes = [sum(module.weight.shape) for name, module in linears(base_model(108)).items() if name != "head"]
    assert sum(sizes) == 2304


def test_a_token_changes_no_logit_before_it_and_its_own():
    for position in [0, 4, 8]:
        model, before = base_model(31), ids()
        after = before.clone()
        after[:, position] = (after[:, position] + 1) % 31
        changed = (model(before) - model(after)).abs().amax((0, 2)) > 1e-6
        assert changed.tolist() == [i >= position for i in range(9)]


def test_order_matters():
    model, forward = base_model(31), torch.tensor([[1, 2, 3, 4, 7]])
    swapped = torch.tensor([[3, 2, 1, 4, 7]])
    assert (model(forward)[:, -1] - model(swapped)[:, -1]).abs().max() > 1e-4


def written_out(model, tokens, heads):
    """The same network with complex rotations and an explicit softmax, in float64."""
    x = model.embedding.weight[tokens]
    for layer in model.layers:
        a, h = layer.attention, norm(x, layer.attention_norm.weight)
        q, k, v = ((h @ m.weight.T).reshape(*h.shape[:2], heads, -1).transpose(1, 2) for m in (a.q, a.k, a.v))
        mask = torch.full((tokens.shape[1],) * 2, -math.inf).triu(1)
        score = turn(q) @ turn(k).transpose(-1, -2) / math.sqrt(q.shape[-1]) + mask
        x = x + (score.softmax(-1) @ v).transpose(1, 2).reshape(h.shape) @ a.o.weight.T
        x = x + gelu(norm(x, layer.mlp_norm.weight) @ layer.mlp.up.weight.T) @ layer.mlp.down.weight.T
    return norm(x, model.norm.weight) @ model.head.weight.T


def norm(x, gain):
    return x / (x.square().mean(-1, keepdim=True) + torch.finfo(x.dtype).eps).sqrt() * gain


def turn(x):
    pairs = torch.view_as_complex(x.reshape(*x.shape[:-1], -1, 2).contiguous())
    rate = 10_000.0 ** (-torch.arange(0, x.shape[-1], 2, dtype=torch.float64) / x.shape[-1])
    angle = torch.arange(x.shape[-2], dtype=torch.float64)[:, None] * rate
    return torch.view_as_real(pairs * torch.polar(torch.ones_like(angle), angle)).flatten(-2)


def test_logits_equal_a_version_written_out_with_complex_rotations():
    for sizes in [{}, {"width": 24, "layers": 3, "heads": 3, "hidden": 40}]:
        model = base_model(31, **sizes).double()
        torch.testing.assert_close(model(ids()), written_out(model, ids(), sizes.get("heads", 4)), atol=1e-5, rtol=1e-5)


def test_a_seed_decides_the_weights_and_the_global_state_is_left_alone():
    state = torch.get_rng_state()
    first, same, other = base_model(31, seed=1), base_model(31, seed=1), base_model(31, seed=2)
    assert torch.equal(first(ids()), same(ids()))
    assert not torch.equal(first(ids()), other(ids()))
    assert torch.equal(torch.get_rng_state(), state)


def test_it_learns_a_repeated_pattern_by_heart():
    model, tokens = base_model(11, width=32, hidden=64), torch.arange(24).remainder(11).unsqueeze(0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(40):
        loss = cross_entropy(model(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.1


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(ValueError, match="width needs to be a multiple of twice the heads, got width 64 and 5 heads"):
        TinyLM(31, heads=5)
