"""The solutions and the reference against transformers, peft and SciPy, the experiments, and the format bench."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import torch
from studium import Profile
from traitlets import TraitError

from studium_topics.kits import training
from studium_topics.llm_tasks import exercises, experiment, library, reference, tape, tuning
from studium_topics.llm_tasks.bench import FormatBench
from studium_topics.llm_tasks.experiment import claims
from studium_topics.llm_tasks.model import LowRank, adapt, base_model
from studium_topics.llm_tasks.tape import NUMBERS

SMOKE, LAPTOP = Profile("smoke"), Profile("laptop")
MATHS = "plugins/studium_topics/llm_tasks/bench_maths.js"
AT_NIGHT = pytest.param(exercises, id="exercises", marks=pytest.mark.heavy)  # has tests of its own
BOTH = pytest.mark.parametrize("ours", [AT_NIGHT, pytest.param(reference, id="reference")])
CLAUSE, OTHER = tape.EVERY[5], tape.EVERY[-7]
TALKS = (
    tape.turn("translate", CLAUSE),
    [{"role": "system", "content": "number"}, *tape.dialogue("number", (CLAUSE, OTHER))],
    tape.dialogue("summarise", (OTHER, CLAUSE, OTHER)),
)


@pytest.fixture(autouse=True)
def one_thread():
    """Two threads on a busy machine wait for each other longer than they compute."""
    with training.one_thread():
        yield


@pytest.fixture(scope="module")
def llama():
    """A small random LlamaForCausalLM with the words of the lesson."""
    transformers = pytest.importorskip("transformers", reason="transformers is the oracle")
    config = transformers.LlamaConfig(
        vocab_size=len(tape.WORDS),
        hidden_size=24,
        intermediate_size=40,
        num_hidden_layers=2,
        num_attention_heads=3,
        num_key_value_heads=3,
        pad_token_id=NUMBERS["[PAD]"],
        eos_token_id=NUMBERS["[END]"],
        bos_token_id=None,
    )
    with torch.random.fork_rng([]):
        torch.default_generator.manual_seed(3)
        model = transformers.LlamaForCausalLM(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(5 if parameter.ndim > 1 else 1)
    return model


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def arguments(function, ours):
    """Return the blocks that an experiment takes, from a module, in the order of its parameters."""
    names = inspect.signature(function).parameters
    return {name: getattr(ours, name) for name in names if name not in ("profile", "seed")}


@BOTH
def test_the_template_gives_the_tokens_and_lights_of_apply_chat_template(ours):
    pytest.importorskip("transformers", reason="transformers is the oracle")
    for talk in TALKS:
        tokenizer = library.library_tokenizer()
        theirs = tokenizer.apply_chat_template(talk, return_dict=True, return_assistant_tokens_mask=True)
        ids, lit = ours.render(talk, NUMBERS)
        assert list(ids) == theirs["input_ids"]
        assert [int(seen) for seen in lit] == theirs["assistant_masks"]
        assert 0 < sum(lit) < len(lit)


@BOTH
def test_the_loss_is_that_of_transformers_with_dark_labels(ours, llama):
    ids, lit, *_ = reference.pack([reference.render(talk, NUMBERS) for talk in TALKS], 60, NUMBERS["[PAD]"])
    out = llama(input_ids=ids, labels=ids.masked_fill(~lit, -100))
    torch.testing.assert_close(ours.answer_loss(out.logits, ids, lit), out.loss, rtol=1e-5, atol=1e-5)
    late = ours.answer_loss(out.logits, ids, lit.roll(1, 1))
    assert (late - out.loss).detach().abs() > 0.01


@BOTH
def test_an_exact_match_is_what_generate_writes(ours, llama):
    prompt = torch.tensor([[*reference.render(TALKS[0][:1], NUMBERS)[0], NUMBERS["[ASSISTANT]"]]])
    written = llama.generate(prompt, do_sample=False, max_new_tokens=4, min_new_tokens=4)
    wrong = written.clone()
    wrong[0, -1] = (wrong[0, -1] + 1) % len(tape.WORDS)
    ids = torch.cat([written, wrong])
    lit = (torch.arange(ids.shape[1]) >= prompt.shape[1]).expand(2, -1)
    with torch.no_grad():
        logits = llama(input_ids=ids).logits
    logits[..., NUMBERS["[END]"]] = -1e9  # min_new_tokens forbids it
    assert ours.greedy_matches(logits, ids, lit).tolist() == [True, False]


@BOTH
def test_packed_rows_are_those_of_the_flattening_collator(ours):
    transformers = pytest.importorskip("transformers", reason="transformers is the oracle")
    examples = [reference.render(talk, NUMBERS) for talk in TALKS]
    features = [
        {"input_ids": ids, "labels": [i if seen else -100 for i, seen in zip(ids, lit, strict=True)]}
        for ids, lit in examples
    ]
    theirs = transformers.DataCollatorWithFlattening()(features)
    ids, lit, positions, segments = ours.pack(examples, sum(len(tokens) for tokens, _ in examples), NUMBERS["[PAD]"])
    assert torch.equal(ids, theirs["input_ids"])
    assert torch.equal(ids.masked_fill(~lit, -100), theirs["labels"])
    assert torch.equal(positions, theirs["position_ids"])
    assert segments.max() == 3


@BOTH
def test_a_packed_example_has_the_logits_that_it_has_alone(ours):
    found = experiment.packing(**arguments(experiment.packing, ours), profile=SMOKE, seed=1)
    assert found.whole < 1e-4
    assert found.no_reset > 0.1
    assert found.no_mask > 0.1
    assert found.packed < found.padded


def test_packing_shows_positions_that_run_on_and_masks_that_leak():
    def run_on(examples, length, pad):
        ids, lit, _, segments = reference.pack(examples, length, pad)
        return ids, lit, torch.arange(length).expand_as(ids), segments

    def triangle(segments):
        return reference.block_mask(torch.zeros_like(segments))

    for pack, mask in ((run_on, reference.block_mask), (reference.pack, triangle)):
        assert experiment.packing(reference.render, pack, mask, profile=SMOKE).whole > 0.1


def test_an_adapted_model_is_pefts_and_starts_as_its_base():
    pytest.importorskip("peft", reason="peft is the oracle")
    base = base_model(len(tape.WORDS), width=16)
    model = adapt(base, 3, seeded())
    ids = torch.tensor([reference.render(TALKS[2], NUMBERS)[0]])
    torch.testing.assert_close(model(ids), base(ids))
    with torch.no_grad():
        for part in model.modules():
            if isinstance(part, LowRank):
                part.b.normal_(std=0.1, generator=seeded(1))
    theirs = library.peft_model(base, model)
    torch.testing.assert_close(model(ids), theirs(ids), rtol=1e-4, atol=1e-4)
    assert (model(ids) - base(ids)).abs().max() > 0.1
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert theirs.get_nb_trainable_parameters()[0] == trained
    assert all(p.requires_grad for p in base.parameters())


@BOTH
def test_fine_tuning_takes_pefts_steps(ours):
    pytest.importorskip("peft", reason="peft is the oracle")
    base = base_model(len(tape.WORDS), width=16).double()
    talks = [tape.turn(task, clause) for task in tape.TRAINED for clause in (CLAUSE, OTHER)]
    model, losses, match = ours.finetune(base, talks, talks[:2], NUMBERS, 2, 40, 1, 1e-2, seeded())
    theirs = library.peft_model(base, adapt(base, 2, seeded()))
    rows = reference.pack([reference.render(talk, NUMBERS) for talk in talks], 40, NUMBERS["[PAD]"])
    optimizer = torch.optim.Adam([p for p in theirs.parameters() if p.requires_grad], lr=1e-2)
    expected = []
    for step, (ids, lit, positions, segments) in enumerate(zip(*(part.split(1) for part in rows), strict=True)):
        optimizer.param_groups[0]["lr"] = 1e-2 * (1 - step / len(rows[0]))
        logits = theirs(ids, positions=positions, mask=reference.block_mask(segments))
        loss = torch.nn.functional.cross_entropy(logits[:, :-1][lit[:, 1:]], ids[:, 1:][lit[:, 1:]])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        expected.append(loss.item())
    assert len(expected) > 1
    assert losses == pytest.approx(expected, rel=1e-8)
    assert 0 <= match <= 1
    ids = torch.tensor([reference.render(TALKS[1], NUMBERS)[0]])
    torch.testing.assert_close(model(ids), theirs(ids), rtol=1e-7, atol=1e-7)


@BOTH
def test_retrieval_orders_documents_as_the_cosine_of_scipy_does(ours):
    distance = pytest.importorskip("scipy.spatial.distance", reason="SciPy is the oracle")
    chance = np.random.default_rng(0)
    words = [f"w{i}" for i in range(12)]
    documents = [[str(word) for word in chance.choice(words, size=size)] for size in (3, 7, 5, 9, 4, 6)]
    query = [*documents[3][:4], documents[0][0], "unknown"]
    counts = np.array([[text.count(word) for word in words] for text in (*documents, query)], float)
    weights = counts * np.log(6 / np.maximum((counts[:-1] > 0).sum(0), 1))
    near = [1 - distance.cosine(weights[-1], row) for row in weights[:-1]]
    assert len({round(value, 6) for value in near if value}) == sum(value != 0 for value in near)
    assert list(ours.retrieve(query, documents, 6)) == sorted(range(6), key=lambda i: (-round(near[i], 9), i))


def test_the_reference_answers_as_its_exact_match_says():
    model = tuning.pretrained(SMOKE)
    written = reference.answer(model, TALKS[0][:1], NUMBERS, most=3)
    talk = [TALKS[0][0], {"role": "assistant", "content": " ".join(tape.WORDS[i] for i in written)}]
    ended = len(written) < 3
    assert reference.exact_match(model, [talk], NUMBERS, 40) == float(ended)
    assert reference.exact_match(model, [TALKS[0]], NUMBERS, 40) == 0.0


@pytest.mark.heavy
def test_packed_rows_carry_more_real_tokens_than_padded_ones_on_the_cpu():
    examples = [reference.render(talk, NUMBERS) for talk in TALKS]
    model = base_model(len(tape.WORDS), width=16)
    assert min(reference.throughput(model, examples, 64, 0, packed=kind) for kind in (False, True)) > 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_cuda_fine_tuning_follows_the_device_of_the_base_and_lowers_the_loss():
    base = base_model(len(tape.WORDS)).cuda()
    talks = [tape.turn("number", clause) for clause in tape.EVERY[:400]]
    model, losses, _ = reference.finetune(base, talks, talks[:9], NUMBERS, 8, 64, 8, 1e-2, seeded(), compile=True)
    assert next(model.parameters()).is_cuda
    assert losses[-1] < losses[0]


def test_held_out_clauses_are_never_trained_and_every_clause_is_somewhere():
    train, held_out = tuning.split(4)
    assert not set(train) & set(held_out)
    assert sorted((*train, *held_out)) == sorted(tape.EVERY)
    assert len(tape.EVERY) == 1782


def test_the_answers_of_the_trained_tasks_differ_for_every_clause():
    for clause in tape.EVERY[::50]:
        answers = [tuple(tape.ANSWERS[task](clause)) for task in (*tape.TRAINED, experiment.NEW)]
        assert len(set(answers)) == 4
    assert tape.mirror(("these", "small", "dogs", "sleep", ".")) == ["eseht", "sgod", "llams", "peels", "."]


def test_pages_are_words_of_the_lesson_and_repeat_with_their_seed():
    first, again, other = (tape.pages(6, 30, seeded(seed)) for seed in (1, 1, 2))
    assert first.shape == (6, 30)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_the_pretrained_model_is_a_copy_and_leaves_the_global_random_state():
    state = torch.get_rng_state()
    with torch.no_grad():
        tuning.pretrained(SMOKE).head.weight.zero_()
    assert tuning.pretrained(SMOKE).head.weight.any()
    assert torch.equal(torch.get_rng_state(), state)


def test_an_experiment_runs_at_the_smallest_profile_without_a_verdict_on_training():
    for name in ["adapters", "in_context", "prompt_loss", "knowledge"]:
        run = getattr(experiment, name)
        result = run(**arguments(run, reference), profile=SMOKE, seed=2)
        judged = [claim for claim in claims if claim.experiment is run]
        assert judged
        for claim in judged:
            assert np.isfinite(claim.measure(result))
            assert claim.holds(claim.measure(result), SMOKE) is None


def test_the_claim_on_packing_holds_at_the_smallest_profile_and_its_ablations_show():
    result = experiment.packing(**arguments(experiment.packing, reference), profile=SMOKE, seed=3)
    judged = [claim for claim in claims if claim.experiment is experiment.packing]
    assert [claim.holds(claim.measure(result), SMOKE) for claim in judged] == [True] * len(judged)


@pytest.mark.heavy
@pytest.mark.parametrize("name", ["adapters", "in_context", "prompt_loss", "knowledge"])
def test_every_claim_holds_at_laptop_size(name):
    run = getattr(experiment, name)
    result = run(**arguments(run, reference), profile=LAPTOP, seed=0)
    judged = [claim for claim in claims if claim.experiment is run]
    assert [claim.holds(claim.measure(result), LAPTOP) for claim in judged] == [True] * len(judged)


def test_the_bench_makes_the_tokens_and_lights_of_the_exercise(call_js):
    talk = TALKS[1]
    turns = [part for message in talk for part in (message["role"], message["content"])]
    tokens = call_js(MATHS, "tokensOf", turns)
    ids, lit = exercises.render(talk, NUMBERS)
    assert [NUMBERS[token["text"]] for token in tokens] == ids
    assert [token["lit"] for token in tokens] == lit


def test_the_bench_packs_and_masks_as_the_exercises_do(call_js):
    bench = FormatBench.tasks()
    row = call_js(MATHS, "rowOf", bench.turns, 6, 3)
    numbers = [1 + token["example"] for token in row]
    expected = exercises.block_mask(torch.tensor([numbers]))[0]
    n = len(row)
    for blocks in (True, False):
        found = call_js(MATHS, "maskOf", row, blocks)
        cells = np.array(
            [found["data"][str(i)] for i in range(n * n)] if isinstance(found["data"], dict) else found["data"]
        )
        assert ((cells.reshape(n, n) > 0.3) & (cells.reshape(n, n) < 0.5)).tolist() == expected.tolist()
        assert found["leaks"] == (0 if blocks else n * (n + 1) // 2 - int(expected.sum()))
    assert call_js(MATHS, "positions", row, False) == list(range(n))
    assert call_js(MATHS, "positions", row, True) == [token["place"] for token in row]


def test_the_bench_lights_what_the_loss_sees(call_js):
    row = call_js(MATHS, "rowOf", FormatBench.tasks().turns, 0, 2)
    lit = [token["lit"] for token in row]
    assert call_js(MATHS, "lights", row, "answer") == lit
    assert call_js(MATHS, "lights", row, "late") == [False, *lit[:-1]]
    assert call_js(MATHS, "lights", row, "everything") == [token["place"] > 0 for token in row]


@pytest.mark.browser
def test_the_bench_is_set_by_keyboard(mount):
    page = mount(FormatBench.tasks())
    page.get_by_role("combobox", name="Task").select_option("7")
    page.get_by_role("combobox", name="The loss sees").select_option("late")
    page.get_by_role("slider", name="Conversations in a row").press("ArrowRight")
    page.get_by_label("Mask of blocks").press("Space")
    state = page.state()
    assert (state["task"], state["loss"], state["together"], state["blocks"]) == (7, "late", 2, False)


def test_the_bench_says_what_does_not_fit():
    for name, value, message in [
        ("metrics", ["accuracy"], "each task needs its turns and its metric"),
        ("task", 8, "task goes up to 7, got 8"),
        ("turns", [["user", "hello"]] * 7 + [["robot", "hello"]], "role, text, role, text"),
        ("turns", [["user", "hello"]] * 7 + [["user", "a " * 61]], "60 words at most, got 61"),
    ]:
        bench = FormatBench.tasks()
        with pytest.raises(TraitError, match=message):
            setattr(bench, name, value)
