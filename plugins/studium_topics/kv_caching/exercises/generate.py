import torch
import torch.nn.functional as F
from studium import assert_close, exercise


@exercise(
    points=4,
    minutes=12,
    level="core",
    importance=3,
    hints=(
        "Which tokens do you have to feed before you can choose the first new token, and which do you never have to "
        "feed?",
        "Write two loops, one over the chunks of the prompt and one over the new tokens. Both call `step`, pass the "
        "cache on, and count how many tokens have been fed.",
        "The logits (B, t, V) at the last position of the last chunk choose the first new token, (B,).",
        "`prompt.split(chunk, dim=1)` gives the chunks, and `logits[:, -1].argmax(-1)` the next tokens.",
    ),
)
def generate(step, prompt, new, chunk):
    """Return the greedy continuation of a batch of prompts, feeding each token once.

    * step(ids, start, cache) → (logits, cache): the model. ids (B, t) are tokens from position start on, logits (B, t,
      V) the prediction after each; cache is None for a new text, otherwise what the last call returned.
    * prompt (B, T) stays as it is; feed it in chunks of `chunk` tokens, of which the last may be shorter.
    * new: 1 or more tokens, each the most likely; feed each by itself, and only if another one follows.

    Return the new tokens (B, new), long, and the cache.
    """
    ### BEGIN SOLUTION
    cache, start = None, 0
    for part in prompt.split(chunk, dim=1):
        logits, cache = step(part, start, cache)
        start += part.shape[1]
    found = [logits[:, -1].argmax(-1)]
    while len(found) < new:
        logits, cache = step(found[-1][:, None], start, cache)
        start += 1
        found.append(logits[:, -1].argmax(-1))
    return torch.stack(found, 1), cache
    ### END SOLUTION


generate.equivalent("found.append(logits[:, 0].argmax(-1))", "one token was fed, so its first position is its last")


generate.equivalent("text, fed, cache = prompt, 0, None", "nothing is written into the prompt")


@generate.test("continues a count", points=1)
def _(generate):
    def step(ids, start, cache):
        """Predict n + 1 after n, and note what was fed and from where."""
        return F.one_hot((ids + 1) % 20, 20).float(), [*(cache or []), (start, ids.tolist())]

    found, fed = generate(step, torch.tensor([[3, 4, 5, 6, 7]]), 3, 2)
    assert_close(found, torch.tensor([[8, 9, 10]]), message="a model that predicts n + 1 after n, asked for 3 tokens")
    expected = [(0, [[3, 4]]), (2, [[5, 6]]), (4, [[7]]), (5, [[8]]), (6, [[9]])]
    assert_close(fed, expected, message="the calls of step, as (start, ids)")


@generate.hidden("returns the tokens that decoding without a cache returns", points=2)
def _(generate, rng):
    for batch, length, new, chunk in ((2, 5, 6, 2), (1, 4, 5, 1), (3, 7, 4, 7), (2, 6, 3, 4), (1, 1, 6, 3)):
        table = torch.randn(97, 11, generator=rng)

        def step(ids, start, cache, table=table):
            """Return logits that depend on every token so far and on the position that was given for it."""
            here = (ids + 1) * (3 + start + torch.arange(ids.shape[1], device=ids.device)) ** 2
            seen = here if cache is None else torch.cat([cache, here], 1)
            return table.to(ids.device)[seen.cumsum(1)[:, -ids.shape[1] :] % 97], seen

        prompt = torch.randint(11, (batch, length), generator=rng)
        text, kept = prompt, prompt.clone()
        for _ in range(new):
            text = torch.cat([text, step(text, 0, None)[0][:, -1:].argmax(-1)], 1)
        found, cache = generate(step, prompt, new, chunk)
        what = f"with a prompt of {length}, in chunks of {chunk}, and {new} new tokens"
        assert torch.as_tensor(found).dtype == torch.long, f"the new tokens must be long, got {found.dtype}"
        assert_close(found, text[:, length:], message=what)
        assert_close(cache, step(text[:, :-1], 0, None)[1], message=f"the cache, {what}")
        assert torch.equal(prompt, kept), "the argument prompt must stay as it is"


@generate.hidden("feeds each token once, and the last one never", points=1)
def _(generate, rng):
    for length, new, chunk in ((7, 4, 3), (4, 1, 4), (5, 3, 1), (3, 2, 8)):

        def step(ids, start, cache):
            before, calls = cache or (ids[:, :0], [])
            seen = torch.cat([before, ids], 1)
            logits = F.one_hot((seen[:, -ids.shape[1] :] * 7 + 2) % 13, 13).float()
            return logits, (seen, [*calls, (start, ids.shape[1])])

        _, (_, calls) = generate(step, torch.randint(13, (2, length), generator=rng), new, chunk)
        expected = [(start, min(chunk, length - start)) for start in range(0, length, chunk)]
        expected += [(length + i, 1) for i in range(new - 1)]
        what = (
            f"the calls of step as (start, tokens), for a prompt of {length} in chunks of {chunk} and {new} new tokens"
        )
        assert_close(calls, expected, message=what)


@generate.misconception(
    "You passed start = 0 in every call; pass the position that the first token you feed has in the whole text.",
    name="positions-restart",
)
def _(step, prompt, new, chunk):
    cache = None
    for part in prompt.split(chunk, dim=1):
        logits, cache = step(part, 0, cache)
    found = [logits[:, -1:].argmax(-1)]
    for _ in range(new - 1):
        logits, cache = step(found[-1], 0, cache)
        found.append(logits[:, -1:].argmax(-1))
    return torch.cat(found, 1), cache


@generate.misconception(
    "You left `start` at the length of the prompt; increase it by 1 for each new token.",
    name="start-stands-still",
)
def _(step, prompt, new, chunk):
    cache, start = None, 0
    for part in prompt.split(chunk, dim=1):
        logits, cache = step(part, start, cache)
        start += part.shape[1]
    found = [logits[:, -1:].argmax(-1)]
    for _ in range(new - 1):
        logits, cache = step(found[-1], start, cache)
        found.append(logits[:, -1:].argmax(-1))
    return torch.cat(found, 1), cache


@generate.misconception(
    "You fed the whole text at each step and passed the cache too, so the cached tokens came a second time; feed only "
    "new tokens.",
    name="fed-whole-text",
)
def _(step, prompt, new, chunk):
    cache, start = None, 0
    for part in prompt.split(chunk, dim=1):
        logits, cache = step(part, start, cache)
        start += part.shape[1]
    text = torch.cat([prompt, logits[:, -1:].argmax(-1)], 1)
    for _ in range(new - 1):
        logits, cache = step(text, 0, cache)
        text = torch.cat([text, logits[:, -1:].argmax(-1)], 1)
    return text[:, prompt.shape[1] :], cache


@generate.misconception(
    "You read the whole text again for each token, without the cache; the tokens are right, but pass the cache on, "
    "because this is the quadratic work that it saves.",
    name="no-cache",
)
def _(step, prompt, new, chunk):
    text = prompt
    for _ in range(new):
        logits, cache = step(text, 0, None)
        text = torch.cat([text, logits[:, -1:].argmax(-1)], 1)
    return text[:, prompt.shape[1] :], cache


@generate.misconception(
    "You did not pass the cache on between the chunks of the prompt, so the model forgot all but the last chunk.",
    name="chunks-without-cache",
)
def _(step, prompt, new, chunk):
    start = 0
    for part in prompt.split(chunk, dim=1):
        logits, cache = step(part, start, None)
        start += part.shape[1]
    found = [logits[:, -1:].argmax(-1)]
    for _ in range(new - 1):
        logits, cache = step(found[-1], start, cache)
        start += 1
        found.append(logits[:, -1:].argmax(-1))
    return torch.cat(found, 1), cache


@generate.misconception(
    "You fed the prompt's last token a second time; you already had its logits, and they choose the first new token.",
    name="fed-last-again",
)
def _(step, prompt, new, chunk):
    cache, start = None, 0
    for part in prompt.split(chunk, dim=1):
        _, cache = step(part, start, cache)
        start += part.shape[1]
    found = [prompt[:, -1:]]
    for _ in range(new):
        logits, cache = step(found[-1], start, cache)
        start += 1
        found.append(logits[:, -1:].argmax(-1))
    return torch.cat(found[1:], 1), cache


@generate.misconception(
    "You used the logits at the first position of the chunk; use the last position, which predicts what follows the "
    "prompt.",
    name="first-logits",
)
def _(step, prompt, new, chunk):
    cache, start = None, 0
    for part in prompt.split(chunk, dim=1):
        logits, cache = step(part, start, cache)
        start += part.shape[1]
    found = [logits[:, :1].argmax(-1)]
    for _ in range(new - 1):
        logits, cache = step(found[-1], start, cache)
        start += 1
        found.append(logits[:, :1].argmax(-1))
    return torch.cat(found, 1), cache


@generate.misconception(
    "You also fed the last new token; skip that call, because no token follows it.",
    name="fed-last-token",
)
def _(step, prompt, new, chunk):
    cache, start = None, 0
    for part in prompt.split(chunk, dim=1):
        logits, cache = step(part, start, cache)
        start += part.shape[1]
    found = []
    for _ in range(new):
        found.append(logits[:, -1:].argmax(-1))
        logits, cache = step(found[-1], start, cache)
        start += 1
    return torch.cat(found, 1), cache


@generate.misconception(
    "You fed the prompt all at once; feed it in chunks of `chunk` tokens, which keeps memory small for long prompts.",
    name="prompt-in-one-piece",
)
def _(step, prompt, new, chunk):
    logits, cache = step(prompt, 0, None)
    found = [logits[:, -1:].argmax(-1)]
    for i in range(new - 1):
        logits, cache = step(found[-1], prompt.shape[1] + i, cache)
        found.append(logits[:, -1:].argmax(-1))
    return torch.cat(found, 1), cache


@generate.also_correct
def _(step, prompt, new, chunk):
    text, fed, cache = prompt.clone(), 0, None
    while text.shape[1] < prompt.shape[1] + new:
        part = text[:, fed : min(fed + chunk, prompt.shape[1])] if fed < prompt.shape[1] else text[:, fed:]
        logits, cache = step(part, fed, cache)
        fed += part.shape[1]
        if fed == text.shape[1]:
            text = torch.cat([text, torch.softmax(logits[:, -1], -1).argmax(-1, keepdim=True)], 1)
    return text[:, -new:], cache


@generate.also_correct
def _(step, prompt, new, chunk):
    length, cache = prompt.shape[1], None
    for start in range(0, length, chunk):
        logits, cache = step(prompt[:, start : start + chunk], start, cache)
    found = torch.empty(len(prompt), new, dtype=torch.long, device=prompt.device)
    for i in range(new):
        found[:, i] = logits[:, -1].max(-1).indices
        if i + 1 < new:
            logits, cache = step(found[:, i : i + 1], length + i, cache)
    return found, cache
