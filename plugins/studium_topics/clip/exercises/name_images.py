import copy

import torch
import torch.nn.functional as F
from studium import assert_close, exercise

from studium_topics.clip import shapes
from studium_topics.clip.exercises.clip_logits import clip_logits
from studium_topics.clip.exercises.clip_loss import clip_loss
from studium_topics.clip.exercises.zero_shot_weights import zero_shot_weights
from studium_topics.clip.model import drawn


@exercise(
    points=5,
    minutes=20,
    level="integrative",
    importance=3,
    hints=(
        "Which of your functions do you need only for training, which only for naming, and which one for both?",
        "Each step: features from both towers, logits, loss, gradients, step. Afterwards, turn the names into text "
        "features, one for each class, and compare each image with all of them, at the learned scale.",
        "`zero_shot_weights` returns (d, C), and `clip_logits` takes texts (C, d) and returns (M, C). The softmax is "
        "over the classes.",
        "`clip_logits(model.image(images), zero_shot_weights(model.text, names, templates).mT, model.log_scale)`, "
        "within `torch.no_grad()`.",
    ),
)
def name_images(model, batches, lr, images, names, templates):
    """Train both towers and the scale on images with captions, then name images by the probability of each name.

    Take one step of `torch.optim.Adam` on all parameters for each batch, in order, with your
    `clip_loss`. The classes come from your `zero_shot_weights`, at the scale that the model learned.

    * model: trained in place; `model.image(pixels)` and `model.text(sentences)` return features of any
      length (n, d), and `model.log_scale` is the logarithm of the scale
    * batches: pairs (pixels, captions) of equal length; they stay as they are
    * images: M of them, for `model.image`
    * names, templates: as for `zero_shot_weights`
    * returns: probabilities (M, C) without a gradient, and the loss of each batch, before its step, as floats
    """
    ### BEGIN SOLUTION
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    losses = []
    for pixels, captions in batches:
        logits = clip_logits(model.image(pixels), model.text(captions), model.log_scale)
        loss = clip_loss(logits)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())

    with torch.no_grad():
        classes = zero_shot_weights(model.text, names, templates)
        logits = clip_logits(model.image(images), classes.mT, model.log_scale)
        probabilities = logits.softmax(-1)
    return probabilities, losses
    ### END SOLUTION


name_images.equivalent(
    "logits = clip_logits(model.text(captions), model.image(pixels), model.log_scale)",
    "the loss is the same for the transpose of its logits",
)


@name_images.test("lowers the loss, and gives each name a probability", points=1)
def _(name_images, rng):
    model = drawn(int(torch.randint(1000, (1,), generator=rng)))
    kinds = shapes.SEEN[::6]
    batch = (shapes.render(kinds, rng), shapes.captions(kinds))
    probabilities, losses = name_images(model, [batch] * 12, 2e-3, batch[0][:5], shapes.NAMES[:7], shapes.TEMPLATES)
    assert tuple(probabilities.shape) == (5, 7), (
        f"five images and seven names need probabilities (5, 7), got {tuple(probabilities.shape)}"
    )
    assert_close(probabilities.sum(-1), torch.ones(5), rtol=1e-4, atol=1e-4, message="the sum over the names")
    assert not probabilities.requires_grad, "the probabilities must come without a gradient"
    assert len(losses) == 12, f"12 batches have 12 losses, got {len(losses)}"
    assert losses[-1] < losses[0] - 0.2, f"training must lower the loss: from {losses[0]:.3f} to {losses[-1]:.3f}"


@name_images.hidden("trains on the symmetric loss, and names at the scale that was learned", points=4)
def _(name_images, rng):
    for count, lr, templates in ((5, 5e-3, shapes.TEMPLATES), (3, 1e-2, ("{} here",)), (1, 2e-3, ("{}", "a {}"))):
        # in float64, so that no rounded gradient decides where Adam steps
        model = drawn(int(torch.randint(1000, (1,), generator=rng))).double()
        batches, given = [], []
        for _ in range(count):
            kinds = shapes.SEEN[torch.randperm(48, generator=rng)[:7]]
            pixels = shapes.render(kinds, rng).double()
            batches.append((pixels, shapes.captions(kinds)))
            given.append((pixels.clone(), shapes.captions(kinds)))
        images, expected, losses = shapes.render(shapes.HELD_OUT[:5], rng).double(), copy.deepcopy(model), []
        optimizer = torch.optim.Adam(expected.parameters(), lr=lr)
        for pixels, captions in given:
            a, b = expected.image(pixels), expected.text(captions)
            cosines = (a @ b.T) / a.norm(dim=1)[:, None] / b.norm(dim=1)
            logits = cosines * expected.log_scale.exp()
            loss = -(logits.log_softmax(0) + logits.log_softmax(1)).diagonal().mean() / 2
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        found = name_images(model, batches, lr, images, shapes.NAMES[3:7], templates)
        what = f"with {count} batches, a rate of {lr} and the templates {templates}"
        assert_close(found[1], losses, rtol=1e-3, atol=1e-3, message=f"the loss of each batch {what}")
        with torch.no_grad():
            rows = []
            for name in shapes.NAMES[3:7]:
                each = [expected.text([template.replace("{}", name)])[0] for template in templates]
                mean = sum(vector / vector.norm() for vector in each)
                rows.append(mean / mean.norm())
            unit = expected.image(images)
            unit = unit / unit.norm(dim=1, keepdim=True)
            odds = (unit @ torch.stack(rows).T * expected.log_scale.exp()).exp()
        assert_close(found[0], odds / odds.sum(1, keepdim=True), rtol=1e-2, atol=2e-3, message=f"probabilities {what}")
        scales = float(model.log_scale.detach()), float(expected.log_scale.detach())
        assert_close(*scales, rtol=1e-4, atol=1e-4, message=f"log_scale after training {what}")
        for (pixels, captions), (before, words) in zip(batches, given, strict=True):
            assert torch.equal(pixels, before), "the pixels of the batches must stay as they are"
            assert captions == words, "the captions of the batches must stay as they are"


name_images.mistake(
    "softmax-over-the-images",
    "You took the softmax over the images; take it over the names, because the question is which name suits an image.",
    replace="-1",
    by="0",
)

name_images.mistake(
    "cosines-as-logits",
    "You took the softmax of the plain cosines. They lie between −1 and 1, so all names seem about equally likely; "
    "multiply them by the learned scale first.",
    replace="clip_logits(model.image(images), classes.mT, model.log_scale)",
    by="F.normalize(model.image(images)) @ classes",
)

name_images.mistake(
    "gradients-added-up",
    "You never set the gradients to zero, so each step follows the sum of all gradients so far; clear them before each "
    "backward pass.",
    replace="optimizer.zero_grad()",
    by="",
)

name_images.mistake(
    "names-without-prompts",
    "You embedded the bare names; put each name into the templates, because the model was trained on sentences.",
    replace="zero_shot_weights(model.text, names, templates)",
    by='zero_shot_weights(model.text, names, ("{}",))',
)

name_images.mistake(
    "images-choose-texts-alone",
    "You trained only one direction, the text for each image; CLIP's loss also trains the other direction, the image "
    "for each text.",
    replace="clip_loss(logits)",
    by="F.cross_entropy(logits, torch.arange(len(logits)))",
)

name_images.mistake(
    "fixed-scale",
    "You left the scale as it was; let the optimiser learn it with the towers, because it is a parameter too.",
    replace="model.parameters()",
    by="[p for p in model.parameters() if p is not model.log_scale]",
)


@name_images.misconception(
    "You embedded the names before training; embed them afterwards, because training has changed the text tower.",
    name="classes-before-training",
)
def _(model, batches, lr, images, names, templates):
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    losses = []
    with torch.no_grad():
        classes = zero_shot_weights(model.text, names, templates)
    for pixels, captions in batches:
        logits = clip_logits(model.image(pixels), model.text(captions), model.log_scale)
        loss = clip_loss(logits)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())

    with torch.no_grad():
        logits = clip_logits(model.image(images), classes.mT, model.log_scale)
        probabilities = logits.softmax(-1)
    return probabilities, losses


@name_images.also_correct
def _(model, batches, lr, images, names, templates):
    optimizer, losses = torch.optim.Adam(list(model.parameters()), lr), []
    for batch in batches:
        features = F.normalize(model.image(batch[0])), F.normalize(model.text(batch[1]))
        logits = model.log_scale.exp().clamp(max=100) * features[0] @ features[1].T
        right = torch.arange(logits.shape[0])
        loss = 0.5 * F.cross_entropy(logits, right) + 0.5 * F.cross_entropy(logits.T, right)
        model.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    classes = zero_shot_weights(model.text, names, templates)
    cosines = F.normalize(model.image(images)) @ classes
    return torch.softmax(cosines * model.log_scale.exp().clamp(max=100), 1).detach(), losses


@name_images.also_correct
def _(model, batches, lr, images, names, templates):
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)

    def step(pixels, captions):
        optimizer.zero_grad()
        loss = clip_loss(clip_logits(model.image(pixels), model.text(captions), model.log_scale))
        loss.backward()
        optimizer.step()
        return loss.item()

    losses = [step(*batch) for batch in batches]
    rows = []
    with torch.no_grad():
        weights = zero_shot_weights(model.text, names, templates)
        for i in range(len(images)):
            logits = clip_logits(model.image(images[i : i + 1]), weights.T, model.log_scale)
            rows.append(logits[0].exp() / logits[0].exp().sum())
    return torch.stack(rows), losses
