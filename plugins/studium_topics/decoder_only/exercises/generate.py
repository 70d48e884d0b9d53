import torch
import torch.nn.functional as F
from studium import assert_close, exercise

from studium_topics.decoder_only.exercises.filter_logits import filter_logits


@exercise(
    points=4,
    minutes=12,
    level="core",
    importance=3,
    hints=(
        "A forward pass gives T predictions. Which of them is about a token that does not exist yet?",
        "Repeat: predict from the last tokens, filter the logits of the last position, draw one token, append it.",
        "The model takes (1, T) and returns (1, T, V); the filter takes (V,); what you append has the shape (1,).",
        "`torch.multinomial(kept.softmax(-1), 1, generator=generator)` draws one token, and `model(ids[None, "
        "-context:])[0, -1]` gives the logits to filter.",
    ),
)
def generate(model, ids, new, generator, context, temperature=1.0, top_k=None, top_p=None):
    """Return ids continued by `new` tokens, each drawn from the filtered logits of the text so far.

    * model: a function of ids (1, T) that returns logits (1, T, V). Pass it at most the last `context` tokens.
    * ids (T,), integers, T >= 1; they stay as they are.
    * new: 1 or more.
    * temperature, top_k, top_p: as in `filter_logits`.

    Use only `generator` for drawing, so the same seed gives the same text, and record no gradients. Return (T + new,),
    integers.
    """
    ### BEGIN SOLUTION
    with torch.no_grad():
        for _ in range(new):
            logits = model(ids[None, -context:])[0, -1]
            kept = filter_logits(logits, temperature, top_k, top_p)
            drawn = torch.multinomial(kept.softmax(-1), 1, generator=generator)
            ids = torch.cat([ids, drawn])
    return ids
    ### END SOLUTION


generate.equivalent("drawn = torch.multinomial(kept.softmax(0), 1, generator=generator)", "the logits have one axis")


generate.equivalent(
    "point = torch.rand((), generator=generator, dtype=torch.float32)", "a single-precision uniform number does too"
)


@generate.test("continues a text whose next token is certain", points=1)
def _(generate):
    def model(ids):
        return 100.0 * F.one_hot((ids + 1) % 7, 7)

    found = generate(model, torch.tensor([2, 4]), 5, torch.Generator().manual_seed(0), 8)
    what = "the model is certain that each token is followed by the next larger one, and 6 by 0"
    assert_close(found, torch.tensor([2, 4, 5, 6, 0, 1, 2]), message=what)


@generate.hidden("shows the model the last tokens of the text, and no more than `context`", points=1)
def _(generate):
    for context in (4, 3, 9):
        seen = []

        def model(ids, seen=seen):
            assert tuple(ids.shape[:1]) == (1,), f"the model needs ids (1, T), got shape {tuple(ids.shape)}"
            assert not torch.is_grad_enabled(), "the model was called while gradients were recorded"
            seen.append(ids[0].tolist())
            return 100.0 * F.one_hot((ids.cumsum(1) + ids[:, :1]) % 11, 11)

        start = torch.tensor([3, 1, 4, 1, 5])
        text = start.tolist()
        for _ in range(6):
            window = text[-context:]
            text.append((sum(window) + window[0]) % 11)
        found = generate(model, start, 6, torch.Generator().manual_seed(0), context)
        assert start.tolist() == [3, 1, 4, 1, 5], "the argument ids must stay as it is"
        longest = max(len(ids) for ids in seen)
        assert longest <= context, f"the model was given {longest} tokens, and context is {context}"
        assert_close(found, torch.tensor(text), message=f"with context={context} and a model that is always certain")


@generate.hidden("draws each token from the filtered logits, with the generator alone", points=2)
def _(generate, rng):
    logits = torch.tensor([1.0, 0.2, 0.7, -0.5, 0.4])

    def model(ids):
        return logits.expand(1, ids.shape[1], 5)

    seed = int(torch.randint(10**6, (1,), generator=rng))
    for options, kept in (
        ({"top_k": 3}, [0, 2, 4]),
        ({"temperature": 0.5}, [0, 1, 2, 3, 4]),
        ({"temperature": 2.0, "top_p": 0.5}, [0, 2, 4]),
    ):
        before = torch.get_rng_state()
        found = generate(model, torch.tensor([3]), 1200, torch.Generator().manual_seed(seed), 2, **options)
        assert torch.equal(torch.get_rng_state(), before), "draw with `generator`: torch's own generator was used"
        again = generate(model, torch.tensor([3]), 20, torch.Generator().manual_seed(seed), 2, **options)
        assert again.tolist() == found[:21].tolist(), "the same seed must give the same text"
        expected = torch.zeros(5).scatter(
            0, torch.tensor(kept), (logits[kept] / options.get("temperature", 1.0)).softmax(-1)
        )
        share = torch.bincount(found[1:], minlength=5) / 1200
        what = f"the shares of the five tokens among 1200 drawn with {options}, each to 0.08"
        assert_close(share, expected, rtol=0, atol=0.08, message=what)
        assert not share[expected == 0].any(), f"with {options}, a token that was filtered out was drawn"


generate.mistake(
    "greedy",
    "You took the most likely token; draw each token instead, with the probabilities that the filter leaves.",
    replace="torch.multinomial(kept.softmax(-1), 1, generator=generator)",
    by="kept.argmax(-1, keepdim=True)",
)

generate.mistake(
    "first-position",
    "You used the logits of the first position; use those of the last position, which predict the token that is still "
    "missing.",
    replace="0, -1",
    by="0, 0",
)

generate.mistake(
    "first-tokens",
    "You showed the model the first `context` tokens; show it the last ones, because the next token depends on the "
    "end of the text.",
    replace="ids[None, -context:]",
    by="ids[None, :context]",
)

generate.mistake(
    "no-context",
    "You showed the model the whole text; show it at most the last `context` tokens.",
    replace="None, -context:",
    by="None",
)

generate.mistake(
    "last-token-alone",
    "You showed the model only the last token, so it has forgotten the rest of the text; show it the last `context` "
    "tokens.",
    replace="-context",
    by="-1",
)

generate.mistake(
    "unfiltered",
    "You drew from the model's logits directly; pass them through `filter_logits` first, so temperature, top-k and "
    "top-p take effect.",
    replace="filter_logits(logits, temperature, top_k, top_p)",
    by="logits",
)

generate.mistake(
    "no-temperature",
    "You did not pass the temperature on to `filter_logits`.",
    replace="filter_logits(logits, temperature, top_k, top_p)",
    by="filter_logits(logits, 1.0, top_k, top_p)",
)

generate.mistake(
    "no-top-p",
    "You did not pass top_p on to `filter_logits`.",
    replace="filter_logits(logits, temperature, top_k, top_p)",
    by="filter_logits(logits, temperature, top_k)",
)

generate.mistake(
    "filtered-probabilities",
    "You passed probabilities to the filter, so the softmax is applied twice; pass it the logits.",
    replace="filter_logits(logits, temperature, top_k, top_p)",
    by="filter_logits(logits.softmax(-1), temperature, top_k, top_p)",
)

generate.mistake(
    "torch-generator",
    "You drew with torch's global generator; pass `generator`, so the same seed gives the same text.",
    replace="torch.multinomial(kept.softmax(-1), 1, generator=generator)",
    by="torch.multinomial(kept.softmax(-1), 1)",
)

generate.mistake(
    "recorded-gradients",
    "You recorded gradients while generating, which costs memory in every step; generate under `torch.no_grad()`.",
    replace="torch.no_grad()",
    by="torch.enable_grad()",
)

generate.mistake(
    "new-tokens-alone",
    "You returned only the new tokens; the result starts with the ids that you were given.",
    replace="return ids",
    by="return ids[-new:]",
)


@generate.also_correct
@torch.inference_mode()
def _(model, ids, new, generator, context, temperature=1.0, top_k=None, top_p=None):
    text = ids.tolist()
    while len(text) < len(ids) + new:
        logits = model(torch.tensor([text[-context:]]))[0][-1]
        probability = filter_logits(logits, temperature, top_k, top_p).softmax(-1)
        text.append(int(torch.multinomial(probability, 1, generator=generator)))
    return torch.tensor(text)


@generate.also_correct
def _(model, ids, new, generator, context, temperature=1.0, top_k=None, top_p=None):
    result = torch.empty(len(ids) + new, dtype=ids.dtype)
    result[: len(ids)] = ids
    for place in range(len(ids), len(result)):
        with torch.no_grad():
            logits = model(result[None, max(0, place - context) : place])[0, -1]
        probability = filter_logits(logits, temperature, top_k, top_p).softmax(-1)
        point = torch.rand((), generator=generator, dtype=torch.float64)
        result[place] = int((probability.double().cumsum(-1) < point).sum().clamp(max=len(probability) - 1))
    return result
