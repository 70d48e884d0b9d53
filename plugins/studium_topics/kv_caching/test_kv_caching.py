"""The exercises and the reference against transformers' Llama and its caches, PyTorch's masks, and the experiments."""

import math

import pytest
import torch
import torch.nn.functional as F
from studium import Profile
from traitlets import TraitError

from studium_topics.kits import text, training
from studium_topics.kits.tiny_lm import base_model
from studium_topics.kv_caching import exercises, experiment, figures, reference
from studium_topics.kv_caching.conversation import conversation
from studium_topics.kv_caching.lanes import TwoLanes
from studium_topics.kv_caching.model import CachedLM
from studium_topics.kv_caching.pages import paging
from studium_topics.kv_caching.prose import prose_model, reading
from studium_topics.kv_caching.rotary import rotate

SMOKE = Profile("smoke")
MATHS = "plugins/studium_topics/kv_caching/lanes_maths.js"
CHARACTERS = "abcdef \n."
SMALL = base_model(len(CHARACTERS), 6, width=24, layers=2, heads=3, hidden=40).requires_grad_(False)
for layer in SMALL.layers:  # as initialised, the newest token alone decides what comes next
    for linear in layer.attention.children():
        linear.weight.mul_(4)
AT_NIGHT = pytest.param(exercises, id="exercises", marks=pytest.mark.heavy)  # has tests of its own
BOTH = pytest.mark.parametrize("ours", [AT_NIGHT, pytest.param(reference, id="reference")])
IN_SINGLE = {"rtol": 1e-5, "atol": 1e-5}  # transformers computes its angles in float32
LAYERS, WIDTH, HEADS, KV_HEADS, HIDDEN, TOKENS = 3, 24, 6, 2, 20, 23


@pytest.fixture(autouse=True)
def one_thread():
    """Two threads on a busy machine wait for each other longer than they compute."""
    with training.one_thread():
        yield


@pytest.fixture(scope="module")
def llama():
    """A small random LlamaForCausalLM in float64 whose heads share keys and values, with gains that are not 1."""
    transformers = pytest.importorskip("transformers", reason="transformers is the oracle")
    config = transformers.LlamaConfig(
        vocab_size=TOKENS, hidden_size=WIDTH, num_hidden_layers=LAYERS, num_attention_heads=HEADS,
        num_key_value_heads=KV_HEADS, intermediate_size=HIDDEN, rms_norm_eps=1e-3, tie_word_embeddings=False,
        max_position_embeddings=64,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(5)
        model = transformers.LlamaForCausalLM(config).double().eval()
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.4)
    return model.requires_grad_(False)


@pytest.fixture(scope="module")
def ours(llama):
    return reference.Llama(llama.state_dict(), reference.Sizes(HEADS, KV_HEADS, eps=1e-3))


def tokens(shape=(2, 11), seed=3):
    return torch.randint(1, TOKENS, shape, generator=torch.Generator().manual_seed(seed))


def test_the_reference_reads_in_any_chunks_what_transformers_reads_with_each_of_its_caches(llama, ours):
    from transformers import DynamicCache, StaticCache

    for chunks in [(11,), (4, 1, 6), (1,) * 11]:
        ids, cache = tokens(), ours.cache(2, 13)
        theirs = DynamicCache(config=llama.config), StaticCache(config=llama.config, max_cache_len=13)
        found = {"ours": [], "dynamic": [], "static": []}
        for part in ids.split(chunks, 1):
            found["ours"].append(ours.step(part, cache))
            for name, their_cache in zip(("dynamic", "static"), theirs, strict=True):
                found[name].append(llama(part, cache=their_cache).logits)
        whole = llama(ids, use_cache=False).logits
        for parts in found.values():
            torch.testing.assert_close(torch.cat(parts, 1), whole, **IN_SINGLE)
        torch.testing.assert_close(cache.keys[1, :, :, :11], theirs[0].layers[1].keys, **IN_SINGLE)
        torch.testing.assert_close(cache.values[2, :, :, :11], theirs[0].layers[2].values, **IN_SINGLE)


def test_the_step_whose_shapes_never_change_gives_what_the_other_gives(ours):
    ids, first, second = tokens(), ours.cache(2, 16), ours.cache(2, 16)
    ours.step(ids[:, :5], first)
    ours.step(ids[:, :5], second)
    for at in range(5, 11):
        one = ids[:, at : at + 1]
        torch.testing.assert_close(ours.static_step(one, first), ours.step(one, second), rtol=1e-10, atol=1e-10)


def test_a_full_cache_is_one_sentence_and_a_cropped_one_has_room_again(ours):
    ids, cache = tokens(), ours.cache(2, 11)
    before = ours.step(ids, cache)
    for step in (ours.step, ours.static_step):
        with pytest.raises(ValueError, match="needs room for"):
            step(ids[:, :1], cache)
    address = cache.keys.data_ptr()
    cache.crop(4)
    torch.testing.assert_close(ours.step(ids[:, 4:], cache), before[:, 4:], rtol=1e-10, atol=1e-10)
    assert cache.keys.data_ptr() == address
    with pytest.raises(ValueError, match="crop needs a length from 0 to 11, got 12"):
        cache.crop(12)


def test_prompts_of_different_lengths_continue_together_as_each_does_in_transformers(llama, ours):
    prompts = [tokens((n,), seed=n) for n in (3, 9, 1, 6)]
    expected = [
        llama.generate(prompt[None], max_new_tokens=7, do_sample=False, pad_token_id=0)[0, len(prompt) :]
        for prompt in prompts
    ]
    assert torch.equal(reference.continuations(ours, prompts, 7), torch.stack(expected))


def test_the_bytes_are_those_of_our_cache_and_of_transformers(llama, ours):
    from transformers import DynamicCache

    expected = reference.kv_bytes(LAYERS, WIDTH, HEADS, KV_HEADS, 11, 2, 8)
    cache = DynamicCache(config=llama.config)
    llama(tokens(), cache=cache)
    assert sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers) == expected
    assert ours.cache(2, 11).nbytes == expected
    assert exercises.kv_bytes(LAYERS, WIDTH, HEADS, KV_HEADS, 11, 2, 8) == expected


@BOTH
def test_the_mask_is_pytorchs_lower_right_one_and_not_that_of_is_causal(ours):
    from torch.nn.attention.bias import causal_lower_right  # a compiler comes with it, which no other process needs

    for queries, keys in [(1, 1), (1, 7), (3, 7), (5, 5), (2, 9)]:
        generator = torch.Generator().manual_seed(0)
        q = torch.randn(1, 2, queries, 4, generator=generator)
        k, v = torch.randn(2, 1, 2, keys, 4, generator=generator)
        expected = F.scaled_dot_product_attention(q, k, v, attn_mask=causal_lower_right(queries, keys))
        found = F.scaled_dot_product_attention(q, k, v, attn_mask=ours.cached_mask(queries, keys))
        torch.testing.assert_close(found, expected)
        naive = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        assert torch.allclose(naive, expected) == (queries == keys)


@BOTH
def test_a_small_model_reads_through_its_cache_what_it_reads_without(ours):
    model = base_model(experiment.VOCABULARY, 1, **experiment.SIZES).double()
    cached = CachedLM(model, ours.cached_attention, 12)
    ids = torch.randint(experiment.VOCABULARY, (3, 12), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = model(ids)
    for chunk in (1, 5, 12):
        torch.testing.assert_close(cached.logits(ids, chunk), expected, rtol=1e-10, atol=1e-10)
    with pytest.raises(ValueError, match="room"):
        cached.logits(torch.cat([ids, ids], 1), 5)


@BOTH
def test_a_pad_that_sees_nothing_makes_nan_of_the_row_and_the_masks_pads_do_not(ours):
    model = base_model(experiment.VOCABULARY, 1, **experiment.SIZES).double()
    pads = torch.tensor([0, 4])
    ids = torch.randint(experiment.VOCABULARY, (2, 9), generator=torch.Generator().manual_seed(0))

    def logits(mask):
        return CachedLM(model, ours.cached_attention, 9, mask=mask).logits(ids, 9)

    right = logits(lambda queries, keys: ours.ragged_mask(pads, queries, keys)[:, None])
    with torch.no_grad():
        torch.testing.assert_close(right[1, 4:], model(ids[1:, 4:])[0], rtol=1e-6, atol=1e-7)  # angles are float32
    column = torch.arange(9)
    nothing = (column <= column[:, None]) & (column >= pads[:, None, None])
    spoilt = logits(lambda queries, keys: nothing[:, None])[1].isnan().all()
    assert spoilt == (ours is exercises)  # fused attention, as in the reference, gives 0 to a query that sees nothing


@BOTH
def test_rotations_go_on_where_the_last_chunk_ended(ours):
    x = torch.randn(2, 3, 9, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    parts = [rotate(x[:, :, :4]), rotate(x[:, :, 4:5], 4), rotate(x[:, :, 5:], 5)]
    torch.testing.assert_close(torch.cat(parts, 2), rotate(x))


@BOTH
def test_the_work_is_what_the_counter_says_of_the_model_of_the_experiment(ours):
    found = experiment.identity(ours.cached_attention, ours.generate, ours.decode_flops, profile=SMOKE, seed=4)
    assert (found.differing, found.surprise) == (0, 0)
    assert found.ratio == (found.tokens + 1) / 2
    assert found.attention_ratio == pytest.approx((2 * found.tokens + 1) / 3, abs=1e-12)
    assert found.gap < 1e-12


@BOTH
def test_the_other_experiments_run_with_the_exercises_and_with_the_reference(ours):
    read = experiment.faults(ours.cached_attention, ours.generate, profile=SMOKE)
    assert abs(read.harm("nothing")) < 1e-5
    assert len(read.losses) == 5
    assert all(len(text) == 48 for name, text in read.texts.items() if name != "the prompt")
    together = experiment.ragged(ours.cached_attention, ours.generate, ours.ragged_mask, profile=SMOKE)
    assert together.differing == 0 < together.unmasked
    talk = conversation(ours.cached_attention, ours.chat, profile=SMOKE)
    assert (talk.differing, talk.wasted) == (0, 0)
    assert talk.fed[0] == talk.again[0]
    assert sum(talk.fed) < sum(talk.again)
    paged = paging(ours.paged_gather, profile=SMOKE)
    assert paged.misread == 0
    assert paged.reserved < paged.paged < 1 < paged.shared


def test_the_lessons_own_loop_trains_the_model_of_the_experiment():
    plan = reading(SMOKE)
    model = base_model(seed=2, **plan.sizes)
    optimizer = torch.optim.AdamW(model.parameters(), lr=plan.rate, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, plan.rate, total_steps=plan.steps)
    generator = torch.Generator().manual_seed(2)
    for _ in range(plan.steps):
        ids, following = text.next_token_batch(plan.seen, plan.batch, plan.length, generator)
        loss = F.cross_entropy(model(ids).flatten(0, 1), following.flatten())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    torch.testing.assert_close(prose_model(SMOKE, 2).state_dict(), model.state_dict(), rtol=1e-3, atol=1e-4)


def test_the_first_widget_holds_a_model_that_knows_its_sentences(call_js):
    widget = figures.opening()
    sizes = {"tokens": 16, "width": 16, "hidden": 32, "layers": 2, "heads": 2}
    written = call_js(MATHS, "through", weights_in_the_browser(widget, sizes), widget.prompt, widget.new)
    assert "".join(widget.characters[token] for token in written) == "he mat. the dog sat on the rug. the cat "


@pytest.mark.heavy
def test_the_model_of_the_first_widget_can_be_trained_again():
    characters = figures.opening().characters
    prompt = torch.tensor([[characters.index(character) for character in "the cat sat on t"]])
    written = experiment.greedy(reference.opening_model(characters), prompt, 22)[0].tolist()
    assert "".join(characters[token] for token in written) == "he mat. the dog sat on"


@pytest.mark.heavy
def test_decoding_speed_is_measured_on_the_cpu(ours):
    for way in ("cached", "static", "without"):
        speed = reference.decoding_speed(ours, 2, 5, 4, way=way)
        assert 0 < speed < math.inf


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_cuda_the_compiled_step_in_bfloat16_gives_the_logits_of_the_plain_one(llama):
    weights = {name: weight.cuda().bfloat16() for name, weight in llama.state_dict().items()}
    sizes = reference.Sizes(HEADS, KV_HEADS, eps=1e-3)
    plain, fused = reference.Llama(weights, sizes), reference.Llama(weights, sizes, compile=True)
    caches = plain.cache(2, 16), fused.cache(2, 16)
    ids = tokens().cuda()
    for at in range(11):
        one = ids[:, at : at + 1]
        expected, found = plain.step(one, caches[0]), fused.static_step(one, caches[1])
        torch.testing.assert_close(found, expected, rtol=5e-2, atol=5e-2)


def small_lanes(**options):
    return TwoLanes.of(SMALL, CHARACTERS, "bca fed", **({"new": 9} | options))


SIZES = {"tokens": len(CHARACTERS), "width": 24, "hidden": 40, "layers": 2, "heads": 3}


def weights_in_the_browser(widget, sizes=SIZES):
    names = ("embedding", "head", "norm", "norms", "q", "k", "v", "o", "up", "down")
    return {name: getattr(widget, name).ravel().tolist() for name in names} | sizes


def written_in_torch(ids, **way):
    cached = CachedLM(SMALL, reference.cached_attention, 16, **way)
    return reference.generate(cached.step, torch.tensor([ids]), 9, 7)[0][0].tolist()


def test_the_model_in_the_browser_writes_what_the_one_in_torch_writes_without_a_cache_and_with_one(call_js):
    widget = small_lanes()
    weights = weights_in_the_browser(widget)
    expected = experiment.greedy(SMALL, torch.tensor([widget.prompt]), 9)[0].tolist()
    assert len(set(expected)) > 2
    assert call_js(MATHS, "without", weights, widget.prompt, 9) == expected
    assert call_js(MATHS, "through", weights, widget.prompt, 9) == expected == written_in_torch(widget.prompt)


def test_a_fault_in_the_browser_does_what_it_does_in_torch(call_js):
    for fault, way in [
        ("positions", {"turn": lambda z, start: rotate(z, 0)}),
        ("top-left", {"mask": experiment.top_left}),
    ]:
        widget = small_lanes()
        found = call_js(MATHS, "through", weights_in_the_browser(widget), widget.prompt, 9, fault)
        assert found == written_in_torch(widget.prompt, **way)
        assert found != written_in_torch(widget.prompt)


def test_a_text_that_was_left_in_the_browsers_cache_does_what_it_does_in_torch(call_js):
    widget = small_lanes()
    cached = CachedLM(SMALL, reference.cached_attention, 23)
    old = cached.step(torch.tensor([widget.prompt[::-1]]), 0, None)[1]
    tokens_there, _ = reference.generate(
        lambda ids, start, cache: cached.step(ids, start + 7, cache or old), torch.tensor([widget.prompt]), 9, 7
    )
    found = call_js(MATHS, "through", weights_in_the_browser(widget), widget.prompt, 9, "stale")
    assert found == tokens_there[0].tolist() != written_in_torch(widget.prompt)


def test_the_work_in_the_browser_is_that_of_the_exercise(call_js):
    for cached in [False, True]:
        sizes = {"tokens": 11, "width": 8, "hidden": 20, "layers": 2}
        found = call_js(MATHS, "work", sizes, 1, 6, cached)
        assert found == reference.decode_flops(2, 8, 8, 20, 11, 6, cached)
        assert call_js(MATHS, "bytes", sizes, 7) == reference.kv_bytes(2, 8, 2, 2, 7, 1, 4)


def test_a_lane_with_a_cache_computes_each_token_once(call_js):
    shades = {"kept": 0.3, "again": 0.6}
    for cached, filled in ((True, 0.3), (False, 0.6)):
        found = call_js(MATHS, "lane", 3, 4, 3, cached, shades)
        expected = torch.zeros(4, 6)
        expected[0, :3] = 1
        expected[1, :4] = torch.tensor([filled] * 3 + [1])
        expected[2, :5] = torch.tensor([filled] * 4 + [1])
        torch.testing.assert_close(torch.tensor(found["data"]).view(4, 6), expected)


@pytest.mark.browser
def test_the_cache_can_be_broken_and_the_text_stepped_through_by_keyboard(mount):
    page = mount(small_lanes(written=4))
    page.get_by_role("slider", name="Tokens written").press("ArrowRight")
    page.get_by_label("Put in a mistake").select_option("top-left")
    page.get_by_role("slider", name="Slots in a page").press("ArrowRight")
    state = page.state()
    assert (state["written"], state["fault"], state["page"]) == (5, "top-left", 16)


def test_two_lanes_say_what_does_not_fit():
    for name, value, message in [
        ("new", 60, "64 at most, got 67"),
        ("written", 10, "written goes up to 9"),
        ("prompt", [99], "got 99 in prompt"),
        ("heads", 5, "heads must be of even width"),
        ("norm", [1.0, 2.0], "norm needs shape"),
        ("characters", "ab", "characters are needed, got 2"),
    ]:
        widget = small_lanes()
        with pytest.raises(TraitError, match=message):
            setattr(widget, name, value)
    with pytest.raises(TraitError, match=r"got \['ß'\]"):
        TwoLanes.of(SMALL, CHARACTERS, "aß")
