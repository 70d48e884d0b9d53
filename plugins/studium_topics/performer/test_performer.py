"""The exercises and the reference against quadrature, PyTorch's attention, scipy's distributions, and each other."""

import itertools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from studium import Profile
from studium.catalogue.catalogue import load_catalogue
from studium.exercises.checking import check
from traitlets import TraitError

from studium_topics.kits import training
from studium_topics.performer import exercises, experiment, features, figures, reference
from studium_topics.performer.model import average_attention, decoder, softmax_attention
from studium_topics.performer.spotlight import RandomSpotlight

SMOKE = Profile("smoke")
MATHS = "plugins/studium_topics/performer/spotlight_maths.js"
AT_NIGHT = pytest.param(exercises, id="exercises", marks=pytest.mark.heavy)  # has tests of its own
BOTH = pytest.mark.parametrize("ours", [AT_NIGHT, pytest.param(reference, id="reference")])


@pytest.fixture(autouse=True)
def one_thread():
    """Two threads on a busy machine wait for each other longer than they compute."""
    with training.one_thread():
        yield


def drawn(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def quadrature(d, points):
    """Vectors w (points ** d, d) and shares that turn the mean over normal vectors into a sum."""
    nodes, shares = np.polynomial.hermite_e.hermegauss(points)
    shares = shares / shares.sum()
    w = torch.tensor(list(itertools.product(nodes, repeat=d)))
    return w, torch.tensor([math.prod(each) for each in itertools.product(shares, repeat=d)])


@BOTH
def test_with_a_quadrature_in_place_of_random_vectors_attention_is_pytorchs(ours):
    for causal in [False, True]:
        q, k, v = (drawn(2, 3, 11, 2, seed=seed) for seed in range(3))
        w, shares = quadrature(2, 28)
        weighted = (shares * len(w)).log() / 2
        logs = [ours.log_features(part / 2**0.25, w) + weighted for part in (q, k)]
        qf, kf = ours.stabilise(logs[0], False), ours.stabilise(logs[1], True)
        found = ours.causal_attention(qf, kf, v, 4) if causal else ours.linear_attention(qf, kf, v)
        expected = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
        torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-7)


@BOTH
def test_the_variance_is_that_of_a_quadrature_over_all_vectors(ours):
    for kind in ["positive", "sine-cosine"]:
        q, k = 0.6 * drawn(2, 7, 2, seed=4)
        w, shares = quadrature(2, 40)
        terms = torch.stack([experiment.products(ours.log_features, kind, q, k, one[None]) for one in w], -1)
        expected = (terms.square() * shares).sum(-1) - (terms * shares).sum(-1).square()
        torch.testing.assert_close(ours.variance(q, k, 9, kind), expected / 9, rtol=1e-6, atol=1e-9)


def entries_and_lengths(draw, d, count=400):
    w = torch.stack([draw(d, d, torch.Generator().manual_seed(seed)) for seed in range(count)]).double()
    lengths = w.norm(dim=-1)
    return (w / lengths[..., None]).numpy(), lengths.numpy()


@BOTH
def test_directions_are_uniform_and_lengths_those_of_normal_vectors(ours):
    stats = pytest.importorskip("scipy.stats", reason="scipy knows the distributions")
    for d in [3, 6]:
        directions, lengths = entries_and_lengths(ours.orthogonal_gaussian, d)
        entry = stats.beta((d - 1) / 2, (d - 1) / 2, loc=-1, scale=2)  # of a uniform direction
        for row, column in ((0, 0), (1, 1), (d - 1, 0), (0, d - 1)):
            assert stats.kstest(directions[:, row, column], entry.cdf).pvalue > 1e-3
        for row in range(d):
            assert stats.kstest(lengths[:, row], stats.chi(d).cdf).pvalue > 1e-3


@BOTH
def test_causal_attention_in_chunks_is_the_masked_table_with_its_gradients(ours):
    for length, chunk in [(23, 5), (16, 16), (9, 30), (12, 1)]:
        parts = [drawn(2, length, width, seed=width).abs().requires_grad_() for width in (4, 4, 3)]
        parts[1] = (drawn(2, length, 4, seed=9).abs() + 0.1).requires_grad_()
        weights = (parts[0] @ parts[1].mT).tril()
        expected = weights / weights.sum(-1, keepdim=True) @ parts[2]
        found = ours.causal_attention(*parts, chunk)
        torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-11)
        pull = drawn(*found.shape, seed=5)
        pairs = zip(torch.autograd.grad(found, parts, pull), torch.autograd.grad(expected, parts, pull), strict=True)
        for one, other in pairs:
            torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


def test_decoding_token_by_token_reads_what_the_whole_text_reads_while_the_maximum_rises():
    q_logs, k_logs, v = drawn(2, 10, 5), 40 * drawn(2, 10, 5, seed=1).sort(1).values, drawn(2, 10, 3, seed=2)
    qf, kf = reference.stabilise(q_logs, False), torch.exp(k_logs - 50)
    expected = reference.causal_attention(qf, kf, v, 4)
    state = reference.State.empty((2,), 5, 3, torch.float64)
    for token in range(10):
        at = slice(token, token + 1)
        out, state = reference.decode(state, q_logs[:, at], k_logs[:, at], v[:, at])
        torch.testing.assert_close(out, expected[:, at], rtol=1e-9, atol=1e-9)
    assert state.sums.shape == (2, 5, 4)


def test_the_reference_keeps_its_digits_in_half_precision():
    q, k, v = (drawn(2, 3, 50, 16, seed=seed) for seed in range(3))
    w = reference.orthogonal_gaussian(32, 16, torch.Generator().manual_seed(0))
    exact = reference.favor(q, k, v, w.double(), chunk=16)
    for dtype, tolerance in ((torch.float32, 1e-4), (torch.bfloat16, 5e-2)):
        found = reference.favor(*(part.to(dtype) for part in (q, k, v)), w, chunk=16)
        assert found.dtype == dtype
        torch.testing.assert_close(found.double(), exact, rtol=tolerance, atol=tolerance)


@pytest.mark.heavy
def test_the_reference_compiles_without_a_break():
    q, k, v = (drawn(2, 3, 50, 16, seed=seed) for seed in range(3))
    w = drawn(32, 16, seed=4)
    compiled = torch.compile(reference._favor, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(q, k, v, w, 16, True), reference.favor(q, k, v, w, 16))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_cuda_the_compiled_reference_agrees_with_the_cpu():
    q, k, v = (drawn(2, 3, 300, 64, seed=seed) for seed in range(3))
    w = reference.orthogonal_gaussian(128, 64, torch.Generator().manual_seed(0))
    exact = reference.favor(q, k, v, w.double())
    found = reference.favor(*(part.bfloat16().cuda() for part in (q, k, v)), w.cuda())
    torch.testing.assert_close(found.double().cpu(), exact, rtol=6e-2, atol=6e-2)


def test_both_trainings_take_the_same_steps_and_the_first_loss_is_that_of_the_first_vectors():
    ids = torch.randint(9, (5, 2, 12), generator=torch.Generator().manual_seed(0))
    batches = [(part, (part + 1) % 9) for part in ids]
    vectors = [drawn(8, 8, seed=seed) for seed in range(3)]
    models = [decoder(9, 1, width=16, layers=1, heads=2, hidden=16).double() for _ in range(3)]
    found = [ours.train_performer(model, batches, vectors, 2, 5, 0.01) for ours, model in zip(
        (exercises, reference), models, strict=False
    )]  # fmt: skip
    assert found[0] == pytest.approx(found[1], abs=1e-9)
    logits = models[2](batches[0][0], lambda q, k, v: reference.favor(q, k, v, vectors[0]))
    first = F.cross_entropy(logits.flatten(0, 1), batches[0][1].flatten())
    assert found[0][0] == pytest.approx(first.item(), abs=1e-9)


def failures(exercise, answer):
    result = check("performer", load_catalogue()["performer"].exercise(exercise), answer)
    return {test.name: test.message for test in result.tests if not test.passed}


def test_the_table_in_linear_attention_fails_by_its_size_alone():
    def table_first(qf, kf, v):
        weights = qf @ kf.mT
        return weights / weights.sum(-1, keepdim=True) @ v

    failed = failures("linear_attention", table_first)
    assert list(failed) == ["makes no table of queries by keys"]
    assert "5500 queries by 6500 keys" in failed["makes no table of queries by keys"]


def test_a_state_for_each_token_fails_by_its_size_alone():
    def all_states(qf, kf, v, chunk):
        v = F.pad(v, (0, 1), value=1.0)
        states = (kf[..., :, None] * v[..., None, :]).cumsum(-3)
        sums = (qf[..., None, :] @ states).squeeze(-2)
        return sums[..., :-1] / sums[..., -1:]

    failed = failures("causal_attention", all_states)
    assert list(failed) == ["holds no table of the whole text, and no state for each token"]
    assert "for 6100 tokens with 80 features" in next(iter(failed.values()))


def test_the_decoder_reads_as_the_kit_does_and_the_average_cannot_choose():
    from studium_topics.kits.tiny_lm import base_model

    sizes = {"width": 16, "layers": 2, "heads": 2, "hidden": 24}
    ids = torch.randint(9, (2, 7), generator=torch.Generator().manual_seed(0))
    ours, kit = decoder(9, 3, **sizes), base_model(9, 3, **sizes)
    torch.testing.assert_close(ours(ids), kit(ids))
    q, k, v = drawn(3, 2, 2, 5, 4).unbind()
    torch.testing.assert_close(average_attention(q, k, v), softmax_attention(0 * q, k, v))


def test_sine_cosine_features_estimate_what_positive_ones_do():
    w, shares = quadrature(2, 30)
    q, k = 0.8 * drawn(2, 5, 2, seed=6)
    root = torch.cat([shares, shares]).sqrt()
    table = features.shares(features.sine_cosine(q, w, False) * root, features.sine_cosine(k, w, True) * root)
    torch.testing.assert_close(table, (q @ k.mT).softmax(-1), rtol=1e-8, atol=1e-8)


def test_the_widget_attends_and_estimates_as_torch_does(call_js):
    widget = RandomSpotlight.example()
    given = {"data": widget.q.flatten().tolist(), "shape": list(widget.q.shape)}
    keys = {"data": widget.k.flatten().tolist(), "shape": list(widget.k.shape)}
    rows, others = (call_js(MATHS, "rowsOf", part, 0.7) for part in (given, keys))
    q, k = (torch.tensor(part, dtype=torch.float64) for part in (rows, others))
    torch.testing.assert_close(q, torch.tensor(widget.q).double() * 0.7 / 8**0.25)
    exact = torch.tensor(call_js(MATHS, "attention", rows, others), dtype=torch.float64)
    torch.testing.assert_close(exact, (q @ k.mT).softmax(-1))
    drawn_vectors = call_js(MATHS, "vectors", 3, 20, 8, True)
    w = torch.tensor(drawn_vectors, dtype=torch.float64)
    for start in (0, 8, 16):
        products = w[start : start + 8] @ w[start : start + 8].mT
        torch.testing.assert_close(products, products.diagonal().diag(), rtol=0, atol=1e-6)
    plain = torch.tensor(call_js(MATHS, "vectors", 3, 20, 8, False), dtype=torch.float64)
    torch.testing.assert_close(w.norm(dim=1), plain.norm(dim=1))
    for kind in experiment.KINDS:
        found = call_js(MATHS, "estimate", rows, others, drawn_vectors, kind)
        qf, kf = experiment.features(exercises.log_features, exercises.stabilise, kind, q, k, w)
        torch.testing.assert_close(torch.tensor(found["rows"], dtype=torch.float64), features.shares(qf, kf))
        assert found["negative"] == int((qf @ kf.sum(0) < 0).sum())
        relative = exercises.variance(q[0], k[1], 5, kind).sqrt() / torch.exp(q[0] @ k[1])
        assert call_js(MATHS, "relativeError", rows[0], others[1], 5, kind) == pytest.approx(float(relative))


def test_the_widget_refuses_arrays_that_do_not_fit():
    with pytest.raises(TraitError, match="query goes up to 3"):
        RandomSpotlight(q=np.ones((3, 4)), k=np.ones((2, 4)), query=4)
    with pytest.raises(TraitError, match=r"k needs shape \(12, 16\) at most, got \(13, 4\)"):
        RandomSpotlight(q=np.ones((3, 4)), k=np.ones((13, 4)))
    with pytest.raises(TraitError, match="words need one for each of 3 queries and 3 keys, got 2"):
        RandomSpotlight(q=np.ones((3, 4)), k=np.ones((3, 4)), words=["a", "b"])


@pytest.mark.sample(1)
@BOTH
def test_the_experiments_run_with_the_exercises_and_with_the_reference(ours):
    found = experiment.estimates(ours.log_features, ours.variance, ours.orthogonal_gaussian, profile=SMOKE)
    assert found.bias < 2
    assert found.opposite["positive"] < 1e-9 < 1 < found.opposite["sine-cosine"]
    assert max(experiment.prefix(ours.causal_attention, profile=SMOKE).errors) < 1e-12
    grown = experiment.outputs(ours.log_features, ours.stabilise, ours.orthogonal_gaussian, profile=SMOKE)
    assert grown.ratio(1.0, 64) > 2
    assert len(figures.errors(found).data) == 2
    assert len(figures.sizes(grown).data) == 3


def test_the_training_experiment_trains_every_decoder_on_the_same_batches():
    names = ("train_performer", "causal_attention", "log_features", "stabilise", "orthogonal_gaussian")
    result = experiment.training(*(getattr(reference, name) for name in names), profile=SMOKE)
    assert set(result.losses) == set(experiment.NAMES)
    assert all(math.isfinite(loss) for loss in (*result.losses.values(), *result.swapped, result.tuned))
    first = [losses[0] for losses in result.history.values()]
    assert max(first) - min(first) < 0.3  # before any step, only attention differs
    assert len(figures.learning(result).data) == 4
