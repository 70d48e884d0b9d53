"""The exercises and the reference against transformers' Llama, the experiments, and what the widgets are given."""

import pytest
import torch
from studium import Profile
from studium_widgets import AttentionHeatmap
from traitlets import TraitError

from studium_topics.decoder_only import copier, exercises, experiment, figures, reference
from studium_topics.decoder_only.glass import GlassTransformer
from studium_topics.decoder_only.model import Copier, Sizes, fresh_checkpoint
from studium_topics.decoder_only.rotary import rotate
from studium_topics.kits import text, training

SMOKE = Profile("smoke")
MATHS = "plugins/studium_topics/decoder_only/glass_maths.js"
AT_NIGHT = pytest.param(exercises, id="exercises", marks=pytest.mark.heavy)  # has tests of its own
BOTH = pytest.mark.parametrize("ours", [AT_NIGHT, pytest.param(reference, id="reference")])
IN_SINGLE = {"rtol": 1e-5, "atol": 1e-5}  # transformers computes its angles and its loss in float32


@pytest.fixture(autouse=True)
def one_thread():
    """Two threads on a busy machine wait for each other longer than they compute."""
    with training.one_thread():
        yield


@pytest.fixture
def llama():
    """A small random LlamaForCausalLM in float64, with gains that are not 1."""
    transformers = pytest.importorskip("transformers", reason="transformers is the oracle")
    config = transformers.LlamaConfig(
        vocab_size=23,
        hidden_size=24,
        num_hidden_layers=3,
        num_attention_heads=3,
        num_key_value_heads=3,
        intermediate_size=20,
        rms_norm_eps=1e-3,
        tie_word_embeddings=False,
    )
    with torch.random.fork_rng():
        torch.manual_seed(5)
        model = transformers.LlamaForCausalLM(config).double().eval()
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.4)
    return model


def tokens(seed=3, shape=(2, 7)):
    return torch.randint(23, shape, generator=torch.Generator().manual_seed(seed))


@BOTH
def test_the_logits_of_a_checkpoint_equal_transformers(ours, llama):
    ids = tokens()
    found = ours.llama(llama.state_dict(), ids, 3, rotate, 1e-3)
    torch.testing.assert_close(found, llama(ids).logits, **IN_SINGLE)


@BOTH
def test_every_layer_equals_transformers(ours, llama):
    streams = llama(tokens(), output_hidden_states=True).hidden_states
    for number in range(2):  # the last of the streams has gone through the norm already
        weights = reference.layer_weights(llama.state_dict(), number)
        found = ours.llama_block(streams[number], weights, 3, rotate, 1e-3)
        torch.testing.assert_close(found, streams[number + 1], **IN_SINGLE)


@BOTH
def test_the_loss_equals_that_of_transformers_labels(ours, llama):
    ids = tokens()
    labels = ids.clone()
    labels[0, 4:] = -100
    out = llama(ids, labels=labels)
    torch.testing.assert_close(ours.lm_loss(out.logits, labels).float(), out.loss, **IN_SINGLE)


@BOTH
def test_rmsnorm_equals_transformers_in_every_precision(ours, llama):
    for dtype in [torch.float16, torch.bfloat16, torch.float64]:
        norm = type(llama.model.norm)(24, eps=1e-3).to(dtype)
        x = (300 * torch.randn(4, 24, generator=torch.Generator().manual_seed(1))).to(dtype)
        norm.weight.data = torch.rand(24, generator=torch.Generator().manual_seed(2)).to(dtype)
        torch.testing.assert_close(ours.rmsnorm(x, norm.weight, 1e-3), norm(x), rtol=1e-3, atol=1e-3)


@BOTH
def test_filtering_equals_transformers_warpers(ours):
    transformers = pytest.importorskip("transformers", reason="transformers is the oracle")
    from transformers.generation import logits_process as warpers

    assert transformers.__version__
    logits = torch.randn(40, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for temperature, top_k, top_p in ((0.7, 9, 0.8), (1.3, 40, 0.35), (1.0, 1, 0.9), (2.0, 25, 0.99)):
        steps = [warpers.TemperatureLogitsWarper(temperature), warpers.TopKLogitsWarper(top_k)]
        expected = logits[None]
        for step in [*steps, warpers.TopPLogitsWarper(top_p)]:
            expected = step(None, expected)
        torch.testing.assert_close(ours.filter_logits(logits, temperature, top_k, top_p), expected[0])


@BOTH
def test_the_parameters_are_those_of_the_model_that_transformers_builds(ours, llama):
    assert ours.llama_parameters(23, 24, 3, 20, 24, False) == sum(p.numel() for p in llama.parameters())


def test_the_parameters_of_a_model_with_grouped_heads_and_one_table_are_transformers_too():
    transformers = pytest.importorskip("transformers", reason="transformers is the oracle")
    config = transformers.LlamaConfig(
        vocab_size=50, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        intermediate_size=44, tie_word_embeddings=True,
    )  # fmt: skip
    built = sum(p.numel() for p in transformers.LlamaForCausalLM(config).parameters())
    assert reference.llama_parameters(50, 32, 2, 44, 16, True) == built


def test_a_fresh_checkpoint_has_the_names_and_the_shapes_of_transformers(llama):
    fresh = fresh_checkpoint(Sizes(23, width=24, layers=3, heads=3, hidden=20))
    published = llama.state_dict()
    assert {name: tuple(weight.shape) for name, weight in fresh.items()} == {
        name: tuple(weight.shape) for name, weight in published.items()
    }
    assert all(weight.requires_grad and weight.is_leaf for weight in fresh.values())
    assert exercises.llama_parameters(23, 24, 3, 20, 24, False) == sum(weight.numel() for weight in fresh.values())


def test_the_module_computes_what_its_checkpoint_does():
    sizes = Sizes(23, width=24, layers=2, heads=3, hidden=20)
    expected = reference.llama(fresh_checkpoint(sizes, seed=4), tokens(), 3, rotate)
    torch.testing.assert_close(reference.Llama(sizes, seed=4)(tokens()), expected)


def test_the_lessons_own_loop_is_the_experiment():
    plan = experiment.reading(SMOKE)
    checkpoint = fresh_checkpoint(plan.sizes, seed=3)
    optimizer = torch.optim.AdamW(checkpoint.values(), lr=plan.rate, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, plan.rate, total_steps=plan.steps)
    generator = torch.Generator().manual_seed(3)
    for _ in range(plan.steps):
        ids = text.windows(plan.seen, plan.batch, plan.length + 1, generator)
        loss = reference.lm_loss(reference.llama(checkpoint, ids, plan.sizes.heads, rotate), ids)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(checkpoint.values(), 1.0)
        optimizer.step()
        schedule.step()
    logits = reference.llama(checkpoint, plan.held_out, plan.sizes.heads, rotate).detach()
    found = experiment.prose(reference.llama, reference.lm_loss, profile=SMOKE, seed=3)
    assert found.loss == pytest.approx(float(reference.lm_loss(logits, plan.held_out)), rel=1e-4)


def test_the_saved_attention_has_a_previous_token_head_and_induction_heads():
    widget = figures.opening()
    assert widget.tokens[:7] == widget.tokens[7:]
    scores = torch.tensor(widget.scores)
    attention = scores.masked_fill(torch.ones(14, 14).triu(1).bool(), -torch.inf).softmax(-1)
    assert attention[0, 1].diagonal(-1).mean() > 0.95
    assert (reference.induction_score(attention, 7)[1] > 0.9).all()


def test_the_saved_layers_copy_with_a_previous_token_head_below_induction_heads():
    model = copier.trained(reference)
    ids = experiment.repeated(100, torch.Generator().manual_seed(3), 16)
    attention = model.attention(ids[0])
    assert experiment.copying(model, ids) > 0.97
    assert attention[0].diagonal(-1, -2, -1).mean(-1).max() > 0.8
    assert reference.induction_score(attention, 16)[1].max() > 0.8


@pytest.mark.heavy
def test_the_saved_layers_can_be_trained_again():
    ids = experiment.repeated(100, torch.Generator().manual_seed(3), 16)
    assert experiment.copying(copier.train_again(reference), ids) == pytest.approx(
        experiment.copying(copier.trained(reference), ids), abs=0.01
    )


@pytest.mark.heavy
def test_the_saved_attention_can_be_trained_again():
    scores = reference.opening_scores("plumsktplumskt")
    attention = scores.masked_fill(torch.ones(14, 14).triu(1).bool(), -torch.inf).softmax(-1)
    assert attention[0].diagonal(-1, -2, -1).mean(-1).max() > 0.9
    assert reference.induction_score(attention, 7)[1].max() > 0.9


def test_a_silent_head_adds_nothing_and_the_others_add_what_they_did():
    attention_alone = Sizes(23, width=24, layers=1, heads=3)
    blocks = {"rmsnorm": reference.rmsnorm, "causal_attention": reference.causal_attention}
    model = Copier(attention_alone, **blocks).double()
    start, whole = model.streams(tokens())
    parts = []
    for head in range(3):
        model.silent = frozenset((0, other) for other in range(3) if other != head)
        parts.append(model.streams(tokens())[1] - start)
    torch.testing.assert_close(torch.stack(parts).sum(0), whole - start)


def test_the_weights_that_the_heat_map_shows_are_those_that_the_model_uses():
    blocks = {"rmsnorm": reference.rmsnorm, "causal_attention": reference.causal_attention}
    model = Copier(Sizes(23, width=24, layers=2, heads=3), **blocks).double()
    ids = tokens(shape=(9,))
    shown, streams = model.attention(ids), model.streams(ids[None])
    layer = model.blocks[1]
    z = reference.rmsnorm(streams[1][0], layer["attention_norm"], 1e-6)
    v = (z @ layer["v"].T).unflatten(-1, (3, -1)).transpose(0, 1)
    out = (shown[1] @ v).transpose(0, 1).flatten(1) @ layer["o"].T
    torch.testing.assert_close(streams[1][0] + out, streams[2][0])
    widget = AttentionHeatmap(tokens=[str(t) for t in ids.tolist()], scores=model.scores(ids), mask="causal", layer=1)
    seen = torch.tensor(widget.scores).masked_fill(torch.ones(9, 9).triu(1).bool(), -torch.inf).softmax(-1)
    torch.testing.assert_close(seen.double(), shown, rtol=1e-5, atol=1e-6)


def test_generated_text_is_the_same_for_the_same_seed_and_stays_in_the_top_k():
    model = reference.Llama(Sizes(23, width=24, layers=1, heads=3, hidden=20))
    start = tokens(shape=(4,))
    first, again = (
        reference.generate(model, start, 6, torch.Generator().manual_seed(7), 10, top_k=5) for _ in range(2)
    )
    assert torch.equal(first, again)
    assert len(first) == 10
    for place in range(4, 10):
        with torch.no_grad():
            assert int(first[place]) in model(first[None, :place])[0, -1].topk(5).indices.tolist()


@pytest.mark.heavy
def test_throughput_is_measured_on_the_cpu():
    model = reference.Llama(Sizes(23, width=24, layers=1, heads=3, hidden=20))
    assert reference.throughput(model, tokens(), steps=2) > 0
    assert reference.flops_per_token(7_000_000_000, 32, 4096, 2048) == 42_000_000_000 + 12 * 32 * 4096 * 2048


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_cuda_the_compiled_model_in_bfloat16_gives_the_loss_of_the_plain_one():
    sizes = Sizes(50, width=64, layers=2, heads=4, hidden=172)
    ids = torch.randint(50, (4, 32)).cuda()
    plain, fused = reference.Llama(sizes).cuda(), reference.Llama(sizes, compile=True).cuda()
    with torch.autocast("cuda", torch.bfloat16):
        fast = reference.lm_loss(fused(ids), ids)
    torch.testing.assert_close(fast.float(), reference.lm_loss(plain(ids), ids), rtol=2e-2, atol=2e-2)


def test_texts_repeat_after_their_period_and_no_two_periods_need_be_alike():
    ids = experiment.repeated(200, torch.Generator().manual_seed(0))
    periods = [next(p for p in range(8, 25) if torch.equal(row[p:], row[:-p])) for row in ids]
    assert set(periods) == set(range(8, 25))
    fixed = experiment.repeated(3, torch.Generator().manual_seed(0), 12)
    assert torch.equal(fixed[:, 12:], fixed[:, :-12])


def test_the_table_of_pairs_gives_the_entropy_of_text_that_it_knows():
    seen = torch.tensor([0, 1] * 5000)
    assert experiment.bigram_loss(seen, torch.tensor([[0, 1, 0, 1]]), 2) < 1e-3
    random = torch.randint(4, (40_000,), generator=torch.Generator().manual_seed(0))
    assert experiment.bigram_loss(random, random[:4000].view(40, 100), 4) == pytest.approx(1.386, abs=0.01)


@pytest.mark.sample(1)
@BOTH
def test_the_experiments_run_with_the_exercises_and_with_the_reference(ours):
    blocks = [getattr(ours, name) for name in ("rmsnorm", "causal_attention", "lm_loss", "induction_score")]
    result = experiment.induction(*blocks, profile=SMOKE, seed=0)
    assert result.two.scores.shape == (2, 4)
    assert 0 <= result.silenced <= 1
    assert result.two.model.silent == frozenset()
    read = experiment.prose(ours.llama, ours.lm_loss, profile=SMOKE, seed=0)
    assert read.loss < 4.5  # ln 108 = 4.68 without training
    assert 2.0 < read.bigram < 3.0


def small_glass(**options):
    blocks = {"rmsnorm": reference.rmsnorm, "causal_attention": reference.causal_attention}
    model = Copier(Sizes(23, width=24, layers=2, heads=3), **blocks, seed=2)
    return model, GlassTransformer.of(model, **options)


def test_the_model_in_the_browser_is_the_one_in_torch(call_js):
    for silent in [[], [1, 3, 5]]:
        model, widget = small_glass()
        ids = torch.tensor(call_js(MATHS, "textOf", widget.fresh, 10, {"7": 3}))
        assert ids[7] == 3
        assert torch.equal(ids[20:30], ids[10:20])
        names = ("embedding", "head", "norm", "norms", "q", "k", "v", "o")
        weights = {name: getattr(widget, name).ravel().tolist() for name in names}
        sizes = {"tokens": 23, "width": 24, "layers": 2, "heads": 3}
        model.silent = frozenset(divmod(number, 3) for number in silent)
        found = call_js(MATHS, "forward", weights | sizes, ids.tolist(), silent)
        logits = torch.tensor(found["logits"][-1]).view(48, 23)
        torch.testing.assert_close(logits, model(ids[None])[0], rtol=1e-3, atol=1e-3)
        attention = torch.tensor(found["attention"]).view(2, 3, 48, 48).nan_to_num(0.0)
        torch.testing.assert_close(attention, model.attention(ids), rtol=1e-3, atol=1e-4)


def test_drawing_in_the_browser_is_that_of_the_exercise(call_js):
    logits = torch.randn(30, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for temperature, top_k, top_p in ((0.5, 0, 1.0), (1.0, 4, 0.7), (2.0, 0, 0.6), (1.0, 50, 0.0)):
        expected = reference.filter_logits(logits, temperature, top_k or None, top_p).softmax(-1)
        found = torch.tensor(call_js(MATHS, "filtered", logits, temperature, top_k, top_p), dtype=torch.float64)
        torch.testing.assert_close(found, expected)


def test_the_score_in_the_browser_is_that_of_the_exercise(call_js):
    attention = torch.rand(1, 1, 12, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = call_js(MATHS, "inductionScore", attention.flatten(), 12, 5)
    assert found == pytest.approx(float(reference.induction_score(attention, 5)))


@pytest.mark.browser
def test_a_head_can_be_silenced_and_a_token_changed_by_keyboard(mount):
    page = mount(small_glass(place=20)[1])
    page.get_by_role("button", name="Head 0.2").press("Enter")
    page.get_by_role("button", name="Silence this head").press("Enter")
    page.get_by_role("button", name="Another token here").press("Enter")
    page.get_by_label("Look from place").press("ArrowRight")
    state = page.state()
    assert (state["layer"], state["shown"], state["silent"], list(state["edits"]), state["place"]) == (
        0,
        2,
        [2],
        ["20"],
        21,
    )
    page.drawn()
    assert page.get_by_role("button", name="Head 0.2").inner_text() == "0.2 silent"


def test_a_glass_transformer_says_what_does_not_fit():
    for options, message in [
        ({"layer": 2}, "layer goes up to 1, got 2"),
        ({"fresh": [1, 2]}, "fresh needs 24 tokens, got 2"),
        ({"fresh": [99] * 24}, "tokens go up to 22, got 99"),
        ({"heads": 5}, "heads must be of even width"),
        ({"norm": [1.0, 2.0]}, "norm needs shape"),
    ]:
        with pytest.raises(TraitError, match=message):
            small_glass(**options)
