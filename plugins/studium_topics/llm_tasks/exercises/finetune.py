import math

import torch
import torch.nn.functional as F
from studium import assert_close, exercise

from studium_topics.kits.weights import drawn
from studium_topics.llm_tasks.exercises.answer_loss import answer_loss
from studium_topics.llm_tasks.exercises.block_mask import block_mask
from studium_topics.llm_tasks.exercises.greedy_matches import greedy_matches
from studium_topics.llm_tasks.exercises.pack import pack
from studium_topics.llm_tasks.exercises.render import render
from studium_topics.llm_tasks.model import TapeLM, adapt


@exercise(
    points=7,
    minutes=35,
    level="integrative",
    importance=3,
    hints=(
        "You have already written every part. Which parts do you need before training, which in each step, and which "
        "after it?",
        "Adapt, render and pack. Then take a step for each batch of rows, at a falling rate. Finally, count the exact "
        "matches.",
        "pack returns four tensors with R rows each; cut them into batches together. A held-out conversation is a "
        "single row.",
        '`zip(*(part.split(batch) for part in packed))` gives the batches, `optimizer.param_groups[0]["lr"] = rate` '
        "sets the rate, and `model(ids, positions, block_mask(segments))` returns the logits.",
    ),
)
def finetune(base, conversations, held_out, numbers, rank, length, batch, lr, generator):
    """Fine-tune a language model on conversations; return it, the losses and the exact match.

    Train the model that `adapt(base, rank, generator)` returns, and only its LoRA factors, which
    are the parameters that require a gradient. Pack the conversations in the given order. Take
    one step of `torch.optim.Adam` on each `batch` rows, in order; the last step may get fewer.
    Step i of n, counted from i = 0, has the rate lr · (1 - i / n).

    * base: a TapeLM on the CPU; it stays as it is
    * conversations, held_out: lists of conversations, as `render` takes them
    * numbers: as for `render`, with `[PAD]` too
    * length: the number of columns
    * returns: the model; the loss before each step; the share of held_out that greedy decoding
      would write exactly
    """
    ### BEGIN SOLUTION
    model = adapt(base, rank, generator)
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=lr)
    packed = pack([render(messages, numbers) for messages in conversations], length, numbers["[PAD]"])
    batches = list(zip(*(part.split(batch) for part in packed), strict=True))
    losses = []
    for step, (ids, lit, positions, segments) in enumerate(batches):
        optimizer.param_groups[0]["lr"] = lr * (1 - step / len(batches))
        optimizer.zero_grad()
        loss = answer_loss(model(ids, positions, block_mask(segments)), ids, lit)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    matches = 0
    with torch.no_grad():
        for messages in held_out:
            ids, lit = (torch.tensor([part]) for part in render(messages, numbers))
            matches += greedy_matches(model(ids), ids, lit).item()
    return model, losses, matches / len(held_out)
    ### END SOLUTION


finetune.equivalent(
    "optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad])", "each step sets the rate"
)

finetune.equivalent(
    "optimizer = torch.optim.Adam([p for p in model.parameters() if True], lr=lr)",
    "the optimizer leaves alone what has no gradient",
)

finetune.equivalent(
    "batches = list(zip(*(part.split(batch) for part in packed), strict=False))", "the four parts have the same rows"
)

finetune.equivalent('with __import__("contextlib").nullcontext():', "nothing is differentiated there")


@finetune.test("learns to say which of two words came, and leaves the base as it was", points=2)
def _(finetune, rng):
    words = ("[PAD]", "[USER]", "[ASSISTANT]", "[END]", "dogs", "dog", "plural", "singular")
    numbers = {word: number for number, word in enumerate(words)}
    base = drawn(lambda: TapeLM(8, length=12, width=16, layers=1, heads=2), rng, 0.3)
    before = {name: parameter.detach().clone() for name, parameter in base.named_parameters()}
    pairs = (("dogs", "plural"), ("dog", "singular"))
    asked = [[{"role": "user", "content": a}, {"role": "assistant", "content": b}] for a, b in pairs]
    model, losses, match = finetune(base, asked * 60, asked, numbers, 4, 12, 2, 0.05, rng)
    for name, parameter in base.named_parameters():
        assert torch.equal(parameter, before[name]), f"base must stay as it is, and {name} was changed"
    assert len(losses) == 30, (
        f"120 conversations fill 60 rows, 30 batches of two, and you returned {len(losses)} losses"
    )
    went = f"it went from {losses[0]:.3f} to {losses[-1]:.3f}"
    assert losses[-1] < losses[0] / 2, f"the loss must fall to less than half, and {went}"
    right = 0
    for question, answer in pairs:
        text = [numbers[word] for word in ("[USER]", question, "[END]", "[ASSISTANT]")]
        for _ in range(2):
            text.append(int(model(torch.tensor([text]))[0, -1].argmax()))
        right += text[4:] == [numbers[answer], numbers["[END]"]]
    assert_close(float(match), right / 2, message="the exact match, which decoding token by token gives as well")


@finetune.hidden("trains on packed rows as on each conversation alone, and counts exact matches", points=5)
def _(finetune, rng):
    words = ("[END]", "a", "b", "[SYSTEM]", "c", "[PAD]", "[USER]", "d", "[ASSISTANT]", "e")
    numbers = {word: number for number, word in enumerate(words)}
    headers = {role: numbers[f"[{role.upper()}]"] for role in ("system", "user", "assistant")}

    def conversation(turns, most):
        made = []
        for turn in range(turns):
            count = int(torch.randint(1, most + 1, (1,), generator=rng))
            drawn_words = ["abcde"[int(i)] for i in torch.randint(5, (count,), generator=rng)]
            made.append({"role": ("user", "assistant")[turn % 2], "content": " ".join(drawn_words)})
        return made

    def tokens(messages):
        ids, lit = [], []
        for message in messages:
            ids += [headers[message["role"]], *(numbers[word] for word in message["content"].split()), numbers["[END]"]]
            lit += [False] + [message["role"] == "assistant"] * (len(ids) - len(lit) - 1)
        return ids, lit

    cases = ((9, 2, 3, 24, 2, 2, 0.05, ""), (7, 4, 2, 20, 1, 3, 0.02, ""), (90, 2, 1, 24, 1, 3, 0.1, "c"))
    cases += ((5, 2, 1, 12, 2, 2, 0.05, ""),)
    for count, turns, most, length, batch, rank, lr, always in cases:
        base = drawn(lambda: TapeLM(10, length=24, width=8, layers=2, heads=2), rng).double()
        conversations = [conversation(turns, most) for _ in range(count)]
        held_out = [conversation(2, 1) for _ in range(12)]
        for at, messages in enumerate(conversations if length == 12 else ()):  # a row for each, with 2 or 6 lit tokens
            messages[1]["content"] = ("b", "d a c e a")[at % 2]
        for messages in (*conversations, *held_out[:5]) if always else ():
            messages[1]["content"] = always
        model = adapt(base, rank, torch.Generator().manual_seed(count))
        rows = [[]]
        for ids, lit in map(tokens, conversations):
            if sum(len(one) for one, _ in rows[-1]) + len(ids) > length:
                rows.append([])
            rows[-1].append((ids, lit))
        steps = [[one for row in rows[at : at + batch] for one in row] for at in range(0, len(rows), batch)]
        optimizer, losses = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=lr), []
        for step, examples in enumerate(steps):
            terms = []
            for ids, lit in examples:
                logp = model(torch.tensor([ids]))[0].log_softmax(-1)
                terms += [-logp[at - 1, ids[at]] for at in range(1, len(ids)) if lit[at]]
            for group in optimizer.param_groups:
                group["lr"] = lr - lr * step / len(steps)
            optimizer.zero_grad()
            torch.stack(terms).mean().backward()
            optimizer.step()
            losses.append(float(torch.stack(terms).mean().detach()))
        written = 0
        for ids, lit in map(tokens, held_out):
            text = list(ids)
            for at in range(1, len(text)):
                if lit[at]:
                    text[at] = int(model(torch.tensor([text[:at]]))[0, -1].argmax())
            written += text == ids
        before = {name: parameter.detach().clone() for name, parameter in base.named_parameters()}
        talks = [[dict(message) for message in messages] for messages in (*conversations, *held_out)]
        mine, found, match = finetune(
            base, conversations, held_out, numbers, rank, length, batch, lr, torch.Generator().manual_seed(count)
        )
        what = f"with {count} conversations of {turns} messages in {len(rows)} rows, batches of {batch} and lr={lr}"
        for name, parameter in base.named_parameters():
            assert torch.equal(parameter, before[name]), f"base must stay as it is, and {name} was changed"
            assert parameter.requires_grad, f"base must stay as it is, and {name} was frozen"
        assert [*conversations, *held_out] == talks, f"the conversations must stay as they are {what}"
        assert len(found) == len(steps), f"{len(steps)} steps have as many losses, you returned {len(found)}: {what}"
        assert_close([float(loss) for loss in found], losses, rtol=1e-3, atol=1e-4, message=f"the losses {what}")
        probe = torch.randint(10, (3, 9), generator=rng)
        with torch.no_grad():
            assert_close(mine(probe), model(probe), rtol=1e-2, atol=1e-3, message=f"logits of the model {what}")
        assert_close(float(match), written / 12, rtol=1e-6, message=f"the exact match {what}")


finetune.mistake(
    "mask-left-out",
    "You left out the mask, so the second example in a row reads the first, which it will not have later; pass "
    "`block_mask(segments)`.",
    edits=[
        ("(ids, lit, positions, segments)", "(ids, lit, positions, _)"),
        ("model(ids, positions, block_mask(segments))", "model(ids, positions)"),
    ],
)

finetune.mistake(
    "positions-left-out",
    "You left out the positions. They then run on through a row, and the model is trained at positions where no "
    "conversation begins; pass the positions from `pack`.",
    edits=[
        ("(ids, lit, positions, segments)", "(ids, lit, _, segments)"),
        ("model(ids, positions, block_mask(segments))", "model(ids, None, block_mask(segments))"),
    ],
)

finetune.mistake(
    "trained-on-the-prompt",
    "You trained on all tokens, so most of each step goes into predicting what users write; train only on the lit "
    "ones.",
    edits=[
        ("(ids, lit, positions, segments)", "(ids, _, positions, segments)"),
        (
            "answer_loss(model(ids, positions, block_mask(segments)), ids, lit)",
            "answer_loss(model(ids, positions, block_mask(segments)), ids, segments > 0)",
        ),
    ],
)


@finetune.misconception(
    "You kept the rate at lr; lower it in a straight line, so the noise of the last batches moves the model less.",
    name="rate-not-lowered",
)
def _(base, conversations, held_out, numbers, rank, length, batch, lr, generator):
    model = adapt(base, rank, generator)
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=lr)
    packed = pack([render(messages, numbers) for messages in conversations], length, numbers["[PAD]"])
    batches = list(zip(*(part.split(batch) for part in packed), strict=True))
    losses = []
    for ids, lit, positions, segments in batches:
        optimizer.zero_grad()
        loss = answer_loss(model(ids, positions, block_mask(segments)), ids, lit)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    matches = 0
    with torch.no_grad():
        for messages in held_out:
            ids, lit = (torch.tensor([part]) for part in render(messages, numbers))
            matches += greedy_matches(model(ids), ids, lit).item()
    return model, losses, matches / len(held_out)


finetune.mistake(
    "gradients-pile-up",
    "You never set the gradients back to zero, so each step follows the sum of all gradients so far.",
    replace="optimizer.zero_grad()",
    by="",
)

finetune.mistake(
    "tested-the-base",
    "You tested the base; test the fine-tuned model instead.",
    replace="model(ids)",
    by="base(ids)",
)

finetune.mistake(
    "tested-on-the-training-data",
    "You tested on the training conversations, which the model may know by heart; test on held_out instead.",
    edits=[("for messages in held_out:", "for messages in conversations:"), ("len(held_out)", "len(conversations)")],
)

finetune.mistake(
    "trained-everything",
    "You trained every parameter of the copy; LoRA freezes the base and trains only the factors.",
    replace="model = adapt(base, rank, generator)",
    by="""
        model = adapt(base, rank, generator)
        model.requires_grad_(True)
    """,
)

finetune.mistake(
    "counted-without-dividing",
    "You returned the number of matches; divide it by the number of held-out conversations.",
    replace="matches / len(held_out)",
    by="matches",
)


@finetune.also_correct
def _(base, conversations, held_out, numbers, rank, length, batch, lr, generator):
    model = adapt(base, rank, generator)
    ids, lit, positions, segments = pack([render(one, numbers) for one in conversations], length, numbers["[PAD]"])
    steps = math.ceil(len(ids) / batch)
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / steps)
    losses = []
    for start in range(0, len(ids), batch):
        rows = slice(start, start + batch)
        mask = (segments[rows, :, None] == segments[rows, None, :]).tril()
        labels = ids[rows].masked_fill(~lit[rows], -100)
        logits = model(ids[rows], positions=positions[rows], mask=mask)
        loss = F.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(float(loss.detach()))
    examples = [render(one, numbers) for one in held_out]
    longest = max(len(tokens) for tokens, _ in examples)
    rows = [pack([example], longest, numbers["[PAD]"])[:2] for example in examples]
    with torch.no_grad():
        ids, lit = (torch.cat(parts) for parts in zip(*rows, strict=True))
        right = (model(ids)[:, :-1].argmax(-1) == ids[:, 1:]) | ~lit[:, 1:]
    return [model, losses, float(right.all(1).double().mean())]
