import copy
import dataclasses

import torch
import torch.nn.functional as F
from studium import assert_close, exercise

from studium_topics.glip import scenes
from studium_topics.glip.exercises.align_logits import align_logits
from studium_topics.glip.exercises.build_prompt import build_prompt
from studium_topics.glip.exercises.nms import nms
from studium_topics.glip.exercises.phrase_scores import phrase_scores
from studium_topics.glip.exercises.token_focal import token_focal
from studium_topics.glip.model import drawn
from studium_topics.glip.scenes import offsets


@exercise(
    points=5,
    minutes=30,
    level="integrative",
    importance=3,
    hints=(
        "Which of your functions do you need only for training, which only for decoding, and which for both?",
        "For each image of a batch, build the prompt from the image's own list of names. A region with an owner has "
        "that name's row of the map as its targets, and any other region has zeros. Decode with one prompt for all "
        "images.",
        "targets has the shape of the logits (B, N, M), where M is the length of the longest caption; the map of a "
        "shorter caption fills the first columns. Compare boxes only where the owner is not −1.",
        "`targets[row, there, : positive.shape[1]] = positive[batch.owner[row, there]].to(targets.dtype)`, with "
        "`there` the regions of that image that have an owner.",
    ),
)
def ground(model, batches, lr, images, names):
    """Train a detector on captions with boxes, then find each of the names in new images.

    For each batch take one step of `torch.optim.Adam` on your `token_focal`, plus the mean absolute
    error of the boxes of regions with an owner. A caption lists an image's names, separated by ". ".
    Then find the names, as one caption: boxes that score at least 0.3, after `nms` with overlap 0.5.

    * `model.look(images)`: returns regions (B, N, d) and boxes (B, N, 4)
    * `model.read(captions)`: returns words (B, M, d) and mask (B, M)
    * `model.log_scale`, `model.bias`: parameters
    * batches: each has `images`, `names` (a list for each image), `boxes` (B, N, 4) and `owner`;
      they stay as they are
    * names: a list of the names to find, which stays as it is, too
    * `owner` (B, N): the place in its image's list of the name that a region belongs to, or −1
    * returns: for each image and each name (boxes, scores), best first, without a gradient
    * and returns: the loss of each batch before its step, as floats
    """
    ### BEGIN SOLUTION
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    losses = []
    for batch in batches:
        prompts = [build_prompt(listed, ". ", offsets) for listed in batch.names]
        words, mask = model.read([caption for caption, _ in prompts])
        regions, boxes = model.look(batch.images)
        targets = torch.zeros(len(regions), regions.shape[1], words.shape[1], dtype=regions.dtype)
        for row, (_, positive) in enumerate(prompts):
            there = batch.owner[row] >= 0
            targets[row, there, : positive.shape[1]] = positive[batch.owner[row, there]].to(targets.dtype)
        logits = align_logits(regions, words, model.log_scale, model.bias, mask)
        there = batch.owner >= 0
        loss = token_focal(logits, targets, mask) + F.l1_loss(boxes[there], batch.boxes[there])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())

    found = []
    with torch.no_grad():
        caption, positive = build_prompt(names, ". ", offsets)
        words, mask = (part.expand(len(images), *part.shape[1:]) for part in model.read([caption]))
        regions, boxes = model.look(images)
        logits = align_logits(regions, words, model.log_scale, model.bias, mask)
        for row in range(len(images)):
            answers = []
            for scores in phrase_scores(logits[row], positive):
                sure = scores >= 0.3
                kept = nms(boxes[row, sure], scores[sure], 0.5)
                answers.append((boxes[row, sure][kept], scores[sure][kept]))
            found.append(answers)
    return found, losses
    ### END SOLUTION


ground.equivalent("targets = torch.zeros(len(regions), regions.shape[1], words.shape[1])", "single precision is enough")


ground.equivalent(
    "loss = token_focal(logits, targets, mask) + F.l1_loss(batch.boxes[there], boxes[there])",
    "a difference of absolute value has no sign",
)

ground.equivalent("sure = scores > 0.3", "a score is hardly ever exactly 0.3")


ground.equivalent(
    "padded = F.pad(positive, (0, words.shape[1] - positive.shape[1], 0, 2))",
    "the last row of zeros is the one that -1 names",
)


@ground.test("lowers the loss, and finds shapes of the images that it was trained on", points=1)
def _(ground, rng):
    model = drawn(int(torch.randint(1000, (1,), generator=rng)))
    batch = scenes.batch(3, rng)
    found, losses = ground(model, [batch] * 30, 4e-3, batch.images[:3], list(scenes.SEEN[:4]))
    assert len(losses) == 30, f"30 batches have 30 losses, got {len(losses)}"
    assert losses[-1] < losses[0], f"training must lower the loss: from {losses[0]:.3f} to {losses[-1]:.3f}"
    assert [len(answers) for answers in found] == [4, 4, 4], (
        f"three images and four names need 3 × 4 answers, got {[len(answers) for answers in found]}"
    )
    for answers in found:
        for boxes, scores in answers:
            assert tuple(boxes.shape) == (len(scores), 4), f"k scores need boxes (k, 4), got {tuple(boxes.shape)}"
            assert not boxes.requires_grad, "the boxes must come without a gradient"


@ground.hidden("trains on both losses, and decodes by score and overlap", points=4)
def _(ground, rng):
    for count, size, lr, names in ((3, 4, 4e-3, ["red ring", "ring", "old blue disc"]), (2, 3, 8e-3, ["cross", "red"])):
        model = drawn(int(torch.randint(1000, (1,), generator=rng))).double()
        with torch.no_grad():
            model.bias.fill_(1.0)  # boxes that score enough, and overlap, in any draw
            model.box.bias.fill_(2.0)
        batches = []
        for _ in range(count):
            batch = scenes.batch(size, rng)
            listed = [row[: 3 + place % 3] for place, row in enumerate(batch.names)]
            owner = torch.stack(
                [torch.where(own < len(row), own, -1) for own, row in zip(batch.owner, listed, strict=True)]
            )
            parts = {"images": batch.images.double(), "boxes": batch.boxes.double(), "names": listed, "owner": owner}
            batches.append(dataclasses.replace(batch, **parts))
        given, images = copy.deepcopy(batches), scenes.batch(3, rng).images.double()
        expected, losses = copy.deepcopy(model), []
        optimizer = torch.optim.Adam(expected.parameters(), lr=lr)
        for batch in given:
            words, _ = expected.read([". ".join(row) for row in batch.names])
            regions, boxes = expected.look(batch.images)
            logits = torch.einsum("bnd,bmd->bnm", regions, words) * expected.log_scale.exp() + expected.bias
            total, positives, off, owned = 0, 0, 0, 0
            for row, listed in enumerate(batch.names):
                owners = [place for place, name in enumerate(listed) for _ in [*name.split(), "."]][:-1]
                owners = torch.tensor([-2 if (k + 1) % 3 == 0 else owner for k, owner in enumerate(owners)])
                right = owners == batch.owner[row, :, None]
                x = logits[row, :, : len(owners)] * torch.where(right, 1, -1)
                total = total - (torch.where(right, 0.25, 0.75) * x.neg().sigmoid() ** 2 * F.logsigmoid(x)).sum()
                positives += int(right.sum())
                inside = batch.owner[row] >= 0
                off = off + (boxes[row, inside] - batch.boxes[row, inside]).abs().sum()
                owned += 4 * int(inside.sum())
            loss = total / max(1, positives) + off / owned
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        asked = list(names)
        found = ground(model, batches, lr, images, asked)
        what = f"with {count} batches of {size} images, a rate of {lr} and the names {names}"
        assert_close(found[1], losses, rtol=1e-4, atol=1e-5, message=f"the loss of each batch {what}")
        with torch.no_grad():
            words = expected.read([". ".join(names)])[0][0]
            regions, boxes = expected.look(images)
            odds = ((regions @ words.T) * expected.log_scale.exp() + expected.bias).sigmoid()
        for row in range(len(images)):
            start = 0
            for place, name in enumerate(names):
                length = len(name.split())
                scores = odds[row, :, start : start + length].mean(1)
                start += length + 1
                left = [box for box in scores.argsort(descending=True).tolist() if scores[box] >= 0.3]
                kept = []
                for box in left:
                    a, b, c, d = boxes[row, box].tolist()
                    free = True
                    for other in kept:
                        e, f, g, h = boxes[row, other].tolist()
                        shared = max(0.0, min(c, g) - max(a, e)) * max(0.0, min(d, h) - max(b, f))
                        free = free and shared <= 0.5 * ((c - a) * (d - b) + (g - e) * (h - f) - shared)
                    kept += [box] if free else []
                which = f"for {name!r} in image {row}, {what}"
                assert_close(found[0][row][place][0], boxes[row, kept], rtol=1e-4, atol=1e-4, message=f"boxes {which}")
                assert_close(found[0][row][place][1], scores[kept], rtol=1e-4, atol=1e-4, message=f"scores {which}")
        assert asked == names, f"the list of names must stay as it is, got {asked}"
        for batch, before in zip(batches, given, strict=True):
            assert batch.names == before.names, "the names of the batches must stay as they are"
            for part in ("images", "owner", "boxes"):
                same = torch.equal(getattr(batch, part), getattr(before, part))
                assert same, f"the {part} of the batches must stay as they are"


@ground.misconception(
    "You compared the boxes of all regions; leave out those without an owner, because they have no box to learn.",
    name="boxes-of-all-regions",
)
def _(model, batches, lr, images, names):
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    losses = []
    for batch in batches:
        prompts = [build_prompt(listed, ". ", offsets) for listed in batch.names]
        words, mask = model.read([caption for caption, _ in prompts])
        regions, boxes = model.look(batch.images)
        targets = torch.zeros(len(regions), regions.shape[1], words.shape[1], dtype=regions.dtype)
        for row, (_, positive) in enumerate(prompts):
            there = batch.owner[row] >= 0
            targets[row, there, : positive.shape[1]] = positive[batch.owner[row, there]].to(targets.dtype)
        logits = align_logits(regions, words, model.log_scale, model.bias, mask)
        loss = token_focal(logits, targets, mask) + F.l1_loss(boxes, batch.boxes)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())

    found = []
    with torch.no_grad():
        caption, positive = build_prompt(names, ". ", offsets)
        words, mask = (part.expand(len(images), *part.shape[1:]) for part in model.read([caption]))
        regions, boxes = model.look(images)
        logits = align_logits(regions, words, model.log_scale, model.bias, mask)
        for row in range(len(images)):
            answers = []
            for scores in phrase_scores(logits[row], positive):
                sure = scores >= 0.3
                kept = nms(boxes[row, sure], scores[sure], 0.5)
                answers.append((boxes[row, sure][kept], scores[sure][kept]))
            found.append(answers)
    return found, losses


@ground.misconception(
    "You used the owner −1 as a place. Python counts −1 from the end, so each empty region learned the last name of "
    "its caption; give these regions zeros.",
    name="last-name-for-the-empty",
)
def _(model, batches, lr, images, names):
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    losses = []
    for batch in batches:
        prompts = [build_prompt(listed, ". ", offsets) for listed in batch.names]
        words, mask = model.read([caption for caption, _ in prompts])
        regions, boxes = model.look(batch.images)
        targets = torch.zeros(len(regions), regions.shape[1], words.shape[1], dtype=regions.dtype)
        for row, (_, positive) in enumerate(prompts):
            targets[row, :, : positive.shape[1]] = positive[batch.owner[row]].to(targets.dtype)
        logits = align_logits(regions, words, model.log_scale, model.bias, mask)
        there = batch.owner >= 0
        loss = token_focal(logits, targets, mask) + F.l1_loss(boxes[there], batch.boxes[there])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())

    found = []
    with torch.no_grad():
        caption, positive = build_prompt(names, ". ", offsets)
        words, mask = (part.expand(len(images), *part.shape[1:]) for part in model.read([caption]))
        regions, boxes = model.look(images)
        logits = align_logits(regions, words, model.log_scale, model.bias, mask)
        for row in range(len(images)):
            answers = []
            for scores in phrase_scores(logits[row], positive):
                sure = scores >= 0.3
                kept = nms(boxes[row, sure], scores[sure], 0.5)
                answers.append((boxes[row, sure][kept], scores[sure][kept]))
            found.append(answers)
    return found, losses


@ground.misconception(
    "You gave all images the caption of the first one; build one for each image, because each image has its own list "
    "of names, and its owners are places in that list.",
    name="one-caption-for-the-batch",
)
def _(model, batches, lr, images, names):
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    losses = []
    for batch in batches:
        prompts = [build_prompt(listed, ". ", offsets) for listed in batch.names]
        words, mask = model.read([prompts[0][0]] * len(prompts))
        regions, boxes = model.look(batch.images)
        targets = torch.zeros(len(regions), regions.shape[1], words.shape[1], dtype=regions.dtype)
        for row, (_, positive) in enumerate([prompts[0]] * len(prompts)):
            there = batch.owner[row] >= 0
            targets[row, there, : positive.shape[1]] = positive[
                batch.owner[row, there].clamp(max=len(positive) - 1)
            ].to(targets.dtype)
        logits = align_logits(regions, words, model.log_scale, model.bias, mask)
        there = batch.owner >= 0
        loss = token_focal(logits, targets, mask) + F.l1_loss(boxes[there], batch.boxes[there])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())

    found = []
    with torch.no_grad():
        caption, positive = build_prompt(names, ". ", offsets)
        words, mask = (part.expand(len(images), *part.shape[1:]) for part in model.read([caption]))
        regions, boxes = model.look(images)
        logits = align_logits(regions, words, model.log_scale, model.bias, mask)
        for row in range(len(images)):
            answers = []
            for scores in phrase_scores(logits[row], positive):
                sure = scores >= 0.3
                kept = nms(boxes[row, sure], scores[sure], 0.5)
                answers.append((boxes[row, sure][kept], scores[sure][kept]))
            found.append(answers)
    return found, losses


ground.mistake(
    "gradients-added-up",
    "You never set the gradients to zero, so each step follows the sum of all gradients so far; clear them before each "
    "backward pass.",
    replace="optimizer.zero_grad()",
    by="",
)


@ground.misconception(
    "You trained only on the words; add the loss of the boxes, because otherwise the regions never learn where theirs "
    "are.",
    name="words-alone",
)
def _(model, batches, lr, images, names):
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    losses = []
    for batch in batches:
        prompts = [build_prompt(listed, ". ", offsets) for listed in batch.names]
        words, mask = model.read([caption for caption, _ in prompts])
        regions, boxes = model.look(batch.images)
        targets = torch.zeros(len(regions), regions.shape[1], words.shape[1], dtype=regions.dtype)
        for row, (_, positive) in enumerate(prompts):
            there = batch.owner[row] >= 0
            targets[row, there, : positive.shape[1]] = positive[batch.owner[row, there]].to(targets.dtype)
        logits = align_logits(regions, words, model.log_scale, model.bias, mask)
        loss = token_focal(logits, targets, mask)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())

    found = []
    with torch.no_grad():
        caption, positive = build_prompt(names, ". ", offsets)
        words, mask = (part.expand(len(images), *part.shape[1:]) for part in model.read([caption]))
        regions, boxes = model.look(images)
        logits = align_logits(regions, words, model.log_scale, model.bias, mask)
        for row in range(len(images)):
            answers = []
            for scores in phrase_scores(logits[row], positive):
                sure = scores >= 0.3
                kept = nms(boxes[row, sure], scores[sure], 0.5)
                answers.append((boxes[row, sure][kept], scores[sure][kept]))
            found.append(answers)
    return found, losses


ground.mistake(
    "no-suppression",
    "You kept every region with a score of at least 0.3; apply `nms`, because neighbouring regions show the same shape "
    "and each returns its own box for it.",
    replace="nms(boxes[row, sure], scores[sure], 0.5)",
    by="scores[sure].argsort(descending=True)",
)

ground.mistake(
    "best-box-alone",
    "You returned only the best box of each name; return every box that qualifies, because a name may be in an image "
    "several times, or not at all.",
    replace="scores >= 0.3",
    by="scores == scores.max()",
)


@ground.misconception(
    "You removed boxes of one name because they overlap boxes of another; suppress only among boxes of the same name, "
    'because a region may be both "red" and "ring".',
    name="suppressed-across-names",
)
def _(model, batches, lr, images, names):
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    losses = []
    for batch in batches:
        prompts = [build_prompt(listed, ". ", offsets) for listed in batch.names]
        words, mask = model.read([caption for caption, _ in prompts])
        regions, boxes = model.look(batch.images)
        targets = torch.zeros(len(regions), regions.shape[1], words.shape[1], dtype=regions.dtype)
        for row, (_, positive) in enumerate(prompts):
            there = batch.owner[row] >= 0
            targets[row, there, : positive.shape[1]] = positive[batch.owner[row, there]].to(targets.dtype)
        logits = align_logits(regions, words, model.log_scale, model.bias, mask)
        there = batch.owner >= 0
        loss = token_focal(logits, targets, mask) + F.l1_loss(boxes[there], batch.boxes[there])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())

    found = []
    with torch.no_grad():
        caption, positive = build_prompt(names, ". ", offsets)
        words, mask = (part.expand(len(images), *part.shape[1:]) for part in model.read([caption]))
        regions, boxes = model.look(images)
        logits = align_logits(regions, words, model.log_scale, model.bias, mask)
        for row in range(len(images)):
            table = phrase_scores(logits[row], positive)
            best, own = table.max(0)
            sure = best >= 0.3
            kept = sure.nonzero()[:, 0][nms(boxes[row, sure], best[sure], 0.5)]
            ours = [kept[own[kept] == place] for place in range(len(names))]
            found.append([(boxes[row, place], best[place]) for place in ours])
    return found, losses


@ground.also_correct
def _(model, batches, lr, images, names):
    optimizer = torch.optim.Adam(list(model.parameters()), lr)

    def compare(regions, captions):
        words, mask = model.read(captions)
        words, mask = words.expand(len(regions), -1, -1), mask.expand(len(regions), -1)
        return align_logits(regions, words, model.log_scale, model.bias, mask), mask

    def step(batch):
        prompts = [build_prompt(row, ". ", offsets) for row in batch.names]
        regions, boxes = model.look(batch.images)
        logits, mask = compare(regions, [prompt[0] for prompt in prompts])
        targets = torch.zeros_like(logits)
        for row, region in (batch.owner >= 0).nonzero().tolist():
            own = prompts[row][1][batch.owner[row, region]]
            targets[row, region, : len(own)] = own.to(logits.dtype)
        mine = batch.owner >= 0
        loss = token_focal(logits, targets, mask) + (boxes - batch.boxes)[mine].abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    losses = [step(batch) for batch in batches]
    caption, positive = build_prompt(names, ". ", offsets)
    regions, boxes = (part.detach() for part in model.look(images))
    logits = compare(regions, [caption])[0].detach()

    def find(row, scores):
        kept = [place for place in nms(boxes[row], scores, 0.5).tolist() if scores[place] >= 0.3]
        return boxes[row][kept], scores[kept]

    return [
        [find(row, scores) for scores in phrase_scores(logits[row], positive)] for row in range(len(images))
    ], losses


@ground.also_correct
def _(model, batches, lr, images, names):
    losses, optimizer = [], torch.optim.Adam(model.parameters(), lr=lr)
    for batch in batches:
        optimizer.zero_grad()
        regions, boxes = model.look(batch.images)
        captions, maps = zip(*(build_prompt(row, ". ", offsets) for row in batch.names), strict=True)
        words, mask = model.read(list(captions))
        logits = align_logits(regions, words, model.log_scale, model.bias, mask)
        rows = []
        for own, positive in zip(batch.owner, maps, strict=True):
            padded = F.pad(positive, (0, words.shape[1] - positive.shape[1], 0, 1))
            rows.append(padded[own])  # −1 is the row of zeros
        owned = batch.owner != -1
        loss = token_focal(logits, torch.stack(rows).to(logits.dtype), mask)
        loss = loss + F.l1_loss(boxes[owned], batch.boxes[owned])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    found = []
    caption, positive = build_prompt(names, ". ", offsets)
    with torch.no_grad():
        for image in images:
            regions, boxes = model.look(image[None])
            words, mask = model.read([caption])
            table = phrase_scores(align_logits(regions, words, model.log_scale, model.bias, mask)[0], positive)
            answers = []
            for scores in table:
                places = (scores >= 0.3).nonzero()[:, 0]
                places = places[nms(boxes[0, places], scores[places], 0.5)]
                answers.append((boxes[0, places], scores[places]))
            found.append(answers)
    return found, losses
