# %% [markdown]
# # GLIP: grounded language-image pre-training
#
# The last layer of a detector trained on COCO has 80 rows, one for each class. When you want to find a stroller, there
# is no row for it. In December 2021 Liunian Harold Li and his colleagues took the rows away and used **the words of a
# caption** instead. Their detector scored 49.8 AP on COCO without having seen any of its images, and we can also ask it
# for things that never had a box drawn around them. How can a detector find something that was in none of its training
# boxes?
#
# Here is a small world of shapes, and a detector that we made by hand: each word is a direction, and a region of the
# image is the sum of the words for what it shows. **Write into the caption**, and step through it word by word.
#
# 1. *Which boxes does the detector find for just "red", and which for "ring"? Which of those remain for "red ring"?*
# 2. *Write "ring red". Write "red disc. blue ring". What does this detector not notice about a caption?*
# 3. *Under More, allow overlaps up to 1. Where do all these boxes come from?*
# 4. *Ask for a "white cross", which is in none of the images. Lower the score until the detector finds something.*

# %% tags=["widget"]
from studium_topics.glip.lights import CaptionLights

CaptionLights.drawn()

# %% [markdown]
# In this lesson you will
#
# 1. **turn** a list of names into a caption, and remember which of its tokens belong to which name;
# 2. **replace** a classifier by scores of regions and words, and write the loss that aligns them;
# 3. **decode** scores into boxes, and train a whole detector using your functions;
# 4. **measure** average precision by hand, on names that were in none of the training boxes;
# 5. **explain** why a detector still finds boxes if we shuffle its captions.
#
# **You need** the two towers and the loss of [clip](clip.ipynb). **Time:** 20 minutes of reading, 115 of coding, 2 of
# running.
#
# **History.** Before GLIP, a detector had a fixed list of classes. If you wanted a new class, you needed new boxes and
# a new last layer. CLIP could name whole images by any words, although it did not tell you where things are. MDETR
# ([Kamath et al. 2021](https://arxiv.org/abs/2104.12763)) learned boxes for the phrases of captions, separately from
# ordinary detection data. GLIP ([Li et al. 2021](https://arxiv.org/abs/2112.03857)) wrote detection itself as
# grounding, so both kinds of data can train the same model.
#
# | symbol | meaning | shape |
# |---|---|---|
# | $N$, $M$, $c$ | regions of an image, tokens of a caption, names in it | |
# | $O$ | the regions' vectors, $o_i$ for region $i$ | (N, d) |
# | $P$ | the tokens' vectors, $p_j$ for token $j$ | (M, d) |
# | $S$ | logits of regions and tokens | (N, M) |
# | $T$ | targets: 1 where the token belongs to the region's name | (N, M) |
# | $s$, $b$ | here: scale and bias of the logits, learned | numbers |
# | $\alpha$, $\gamma$ | here: weight and focus of the loss | numbers |

# %%
from studium import show_table
import torch

from studium_topics.glip import figures, scenes
from studium_topics.glip.experiment import RUNS, grounding
from studium_topics.glip.model import drawn
from studium_topics.glip.scenes import offsets
from studium_widgets import Diagram, ImageGrid, figure
from studium_widgets.plots import COLOURS, DASHES

# %% [markdown]
# ## The class is a word
#
# A detector looks at many regions of an image. For each region, it computes a vector $o_i$, a box, and logits $W o_i +
# b$, where $W$ has one row for each class. You can think of a row as a vector that we compare with the region. GLIP
# changes just one thing: instead of learning the rows one by one, we **compute them from text**. <dfn>Grounding</dfn>
# is the task of finding, for each phrase in a text, the region of the image it refers to. A list of classes is also a
# text. When we write the names one after another, detection becomes grounding.

# %% tags=["diagram"]
Diagram.from_package("studium_topics.glip", "flow.svg")

# %% [markdown]
# The <dfn>prompt</dfn> is the caption where we list the names for a detector, such as "red ring. blue disc". The
# network takes tokens, and a name may have several tokens, so we need to know which tokens belong to which name. It is
# easy to get this wrong. For example, MMDetection searched the caption for each name, and found "container" inside
# "containernumber", as [a user reported](https://github.com/open-mmlab/mmdetection/issues/11501).

# %% exercise="build_prompt"
from studium_topics.glip.exercises import build_prompt

# %% [markdown]
# ## Scores of regions and words
#
# If we use the token vectors $P$ instead of $W$, the logits of all regions are
#
# $$S = s\, O P^\top + b .$$
#
# This is equation 3 of the paper, which leaves the scale and the bias to the code. With fixed vectors $P$ it *is* a
# linear classifier, where row $j$ of the layer is $s\,p_j$, and one of the tests in the next exercise checks this. We
# start the bias $b$ at −3. All probabilities then start near $\sigma(-3) = 0.05$, because most regions don't show
# anything that the caption names. Captions have different lengths, so we need to pad the shorter ones.

# %% exercise="align_logits"
from studium_topics.glip.exercises import align_logits

# %% [markdown]
# **In practice**, you will find this as the last layer of Grounding DINO. The variant that MMDetection trained has a
# bias, and its scale is fixed at $1/\sqrt{d}$. Here is your function with the same numbers:

# %% tags=["experiment", "bridge"]
try:
    from transformers import MMGroundingDinoConfig
    from transformers.models.mm_grounding_dino.modeling_mm_grounding_dino import MMGroundingDinoContrastiveEmbedding
except ImportError:
    print("transformers with Grounding DINO is not installed; its class is MMGroundingDinoContrastiveEmbedding.")
else:
    theirs = MMGroundingDinoContrastiveEmbedding(MMGroundingDinoConfig(max_text_len=9))
    detector = drawn(0)
    captions = ["red ring. blue disc", "white cross"]
    with torch.no_grad():
        theirs.bias.fill_(-1.5)
        words, mask = detector.read(captions)
        regions, _ = detector.look(scenes.batch(2, torch.Generator().manual_seed(0)).images)
        logits = lesson.mine(align_logits)(regions, words, detector.log_scale, theirs.bias, mask)
        out = theirs(vision_hidden_state=regions, text_hidden_state=words, text_token_mask=mask)[..., : mask.shape[1]]
        apart = (logits.sigmoid() - out.sigmoid()).abs().max()
    print(f"transformers.{type(theirs).__name__}: probabilities differ by {apart:.1e}")

# %% [markdown]
# ## The alignment loss
#
# The targets $T$ are a matrix of zeros and ones. For example, a region that shows the red ring has ones under "red" and
# "ring" of *its* name. It has zeros everywhere else, including the full stops and a "red" in another name. We judge
# each entry by itself, using a sigmoid. With a softmax over the words, however, we could not express that a region is
# red *and* a ring.
#
# There are many more zeros than ones: 36 regions times 17 tokens make 612 entries, and 7 of these are ones on average.
# An easy zero adds little to a cross-entropy, but together the zeros outweigh the few ones. The <dfn>focal loss</dfn>
# ([Lin et al. 2017](https://arxiv.org/abs/1708.02002), equation 5) is a cross-entropy in which an entry counts less the
# better we already predict it. If $p$ is the probability that the model gives to the right answer, 1 or 0,
#
# $$\ell = -w\,(1 - p)^{\gamma} \ln p, \qquad w = \alpha \text{ for ones}, \; 1 - \alpha \text{ for zeros}.$$
#
# <details><summary>What the factor does to the gradient</summary>
#
# Let's write $x$ for the logit of the right answer, so $p = \sigma(x)$ and $dp/dx = p(1-p)$. Without the factor, the
# gradient of $-\ln p$ is $-(1 - p)$. With it, the product rule gives us $\frac{d\ell}{dx} =
# w\,(1-p)^{\gamma}\big(\gamma\, p \ln p - (1 - p)\big)$. At $p = 0.99$ and $\gamma = 2$ the bracket is $-0.030$ and the
# factor $10^{-4}$, so the gradient is about 3300 times smaller than the cross-entropy's $-0.01$. At $p = 0.1$ the
# bracket is $-1.36$ and the factor $0.81$, and the gradient even grows, from $-0.9$ to $-1.1$.
# </details>

# %% exercise="token_focal"
from studium_topics.glip.exercises import token_focal

# %% [markdown]
# ## From words to phrases
#
# The logits compare regions with tokens, but we want to know about phrases, which can have several tokens. As a
# region's score for a phrase, we can use the mean of the *probabilities* of the phrase's tokens (section 3.1 of the
# paper).

# %% exercise="phrase_scores"
from studium_topics.glip.exercises import phrase_scores

# %% [markdown] tags=["experiment"]
# Let's look at your scores, for the regions and words of the board above. We show a copy of the image for each phrase,
# and each region in it is as bright as its score for that phrase:

# %% tags=["experiment"]
board = CaptionLights.drawn()
names = ["red", "ring", "red ring", "blue ring", "white cross"]
caption, positive = lesson.mine(build_prompt)(names, ". ", offsets)
vocabulary = [board.vocabulary.index(caption[start:end]) for start, end in offsets(caption)]
regions, words = torch.tensor(board.regions[:1]), torch.tensor(board.embedding)[vocabulary][None]
numbers = torch.tensor(board.log_scale), torch.tensor(board.bias)
logits = lesson.mine(align_logits)(regions, words, *numbers, torch.ones(1, len(vocabulary), dtype=torch.bool))
image = torch.tensor(board.pixels[0]).permute(2, 0, 1) / 127.5 - 1
scores = lesson.mine(phrase_scores)(logits[0], positive)
ImageGrid(figures.lit_regions(image, scores), captions=names, columns=5, label="what five phrases find in one image")

# %% [markdown] tags=["experiment"]
# "red ring" is brightest where both words apply, and half as bright where only one does. **Nobody had to define a class
# "red ring".** This is the central idea: words decide what the detector finds, and words combine.
#
# **Think about it.** The detector we made by hand gives "red" the same vector in "red ring" and in "red disc". If a
# caption lists both names, what do the targets $T$ require?
#
# <details><summary>Answer</summary>
#
# They require the impossible. The region of the red ring has a 1 under the first "red" and a 0 under the second, but
# the two columns of logits are equal. For a cross-entropy, the best compromise is one half. The network that reads the
# caption therefore needs to look at a word's neighbours. GLIP uses BERT for this, and our small detector uses one
# convolution over three tokens.
# </details>

# %% [markdown]
# ## From scores to boxes
#
# Several regions see the same shape, and each of them predicts a box for it. We compare two boxes by their
# <dfn>intersection over union</dfn>: the area that both cover, divided by the area that at least one of them covers.

# %% exercise="box_iou"
from studium_topics.glip.exercises import box_iou

# %% [markdown]
# With <dfn>non-maximum suppression</dfn>, we keep the box with the highest score, remove the boxes that overlap it too
# much, and go on with the best of the rest.

# %% exercise="nms"
from studium_topics.glip.exercises import nms

# %% [markdown]
# Now you can build the detector. We give you its network: `look` turns an image into 36 regions and their boxes, and
# `read` turns a caption into vectors. You will write the training and the decoding. A region belongs to a shape if its
# centre is near the middle of the shape's box. The detector learns from images with three or four shapes. Each caption
# lists six names in any order, and some of these are in the image while others are not:

# %%
batch = scenes.batch(4, torch.Generator().manual_seed(3))
ImageGrid(batch.images, captions=[". ".join(row) for row in batch.names], columns=4, label="images with their captions")

# %% exercise="ground"
from studium_topics.glip.exercises import ground

# %% [markdown] tags=["experiment"]
# Let's train it on 160 batches, which takes about ten seconds, and ask for six names in a new image with three discs
# and a red shape. Here is a copy of the image for each name, bright inside the boxes that your detector found for it:

# %% tags=["experiment"]
generator = torch.Generator().manual_seed(0)
batches = [scenes.batch(32, generator) for _ in range(160 if lesson.profile.name != "smoke" else 4)]
asked = scenes.query("red disc", 1, generator)
names = ["red disc", "yellow disc", "purple disc", "red square", "green disc", "red cross"]
found, losses = lesson.mine(ground)(drawn(0), batches, 4e-3, asked.images, names)
print(f"loss of the first batch {losses[0]:.2f}, of the last {losses[-1]:.2f}")
for name, (boxes, scores) in zip(names, found[0], strict=True):
    print(f"{name:12} {len(boxes)} boxes   {', '.join(f'score {score:.2f}' for score in scores.tolist())}")
grid = ImageGrid(figures.lit_boxes(asked.images[0], found[0]), captions=names, columns=3, label="what each name finds")
lesson.keepsake(grid, "One image, asked for six names", f"loss {losses[0]:.2f}, then {losses[-1]:.2f}", ground)

# %% [markdown] tags=["experiment"]
# "Red disc" was in none of the captions and had no box in training, because it is one of six names that are **held
# out**. If your detector found it, it learned "red" from rings and squares, and "disc" from discs of other colours. Its
# score is lower than the scores of the other names, and it might be wrong. We can't prove much with a single image, so
# we need a measure.
#
# ## Average precision
#
# For one name, rank all the boxes in all the images by their scores, and go down the list. <dfn>Average precision</dfn>
# is the mean, over all true boxes, of the share of right boxes in the list down to the box that found it; a true box
# that we never find adds 0. (COCO averages over 101 fixed recalls and ten overlaps from 0.5 to 0.95. We average over
# the true boxes, at the overlap 0.5.) The mean over names is called mAP. When a box finds a shape for the second time,
# it is *wrong*:

# %% exercise="average_precision"
from studium_topics.glip.exercises import average_precision

# %% [markdown] tags=["experiment"]
# ## The experiment: what does the text add?
#
# We train four detectors on the same images and the same boxes, for the same number of steps. **Only the text
# differs.**
#
# * *Captions*, as above: names of colour and form.
# * *Names of forms*: each image has the prompt "disc. ring. square. triangle. cross", as in detection data.
# * *Shuffled captions*: each image has the caption of another image. The boxes stay as they are.
# * *One word a name*: "redring" is now a single word, so each name has its own row, as in an ordinary detector.
#
# We query every detector for all 30 names, using images where the shape we want appears once, next to **two shapes of
# the same form in other colours and one of the same colour**. We ask the detector of forms only for the form, because
# it doesn't know any colours. To get the level of chance, we give random scores to perfect boxes.
#
# *Predict two numbers. What mAP will captions reach on names that were held out? And on what share of all shapes will
# the detector with the shuffled captions still put a box?* The cell takes about a minute on two idle cores.

# %% tags=["experiment"]
lesson.predict("held-out names", ..., "What mAP do captions reach on held-out names, from 0 to 1?")
lesson.predict("boxes of shuffled captions", ..., "What share of the shapes gets a box after shuffled captions?")

# %% tags=["experiment"]
measured = grounding(
    lesson.mine(build_prompt),
    lesson.mine(align_logits),
    lesson.mine(token_focal),
    lesson.mine(phrase_scores),
    lesson.mine(box_iou),
    lesson.mine(nms),
    lesson.mine(average_precision),
    profile=lesson.profile,
    seed=0,
)
rows = [(name, run.seen, run.held_out, run.boxes) for name, run in measured.runs.items()]
rows.append(("random scores", measured.chance, measured.chance, 1.0))
show_table(
    ["text", "mAP of seen names", "of held-out names", "shapes with a box"],
    [(name, *(f"{value:.2f}" for value in values)) for name, *values in rows],
)
lesson.found("held-out names", measured.runs["captions"].held_out, within=0.2)
lesson.found("boxes of shuffled captions", measured.runs["shuffled captions"].boxes, within=0.1)

# %% tags=["experiment"]
curves = figure(x="Step", y="Loss, words and boxes", height=340)
for (name, run), colour, dash in zip(measured.runs.items(), COLOURS, DASHES, strict=False):
    width = max(1, len(run.losses) // 20)
    means = [sum(run.losses[at : at + width]) / width for at in range(0, len(run.losses) - width + 1, width)]
    steps = [(place + 1) * width for place in range(len(means))]
    curves.add_scatter(x=steps, y=means, name=name, mode="lines", line={"color": colour, "dash": dash})
curves

# %% [markdown] tags=["experiment"]
# Here are the results over three seeds at laptop (you ran one):
#
# * **The detector finds names that never had a box**: with captions it reaches a mAP of 0.72 to 0.94, while random
#   scores get 0.31. The pair of words is new, but it knows each of the words.
# * **Names of forms** get 0.28 to 0.35 on held-out names, which is chance. All the boxes are there, but the text did
#   not contain anything to tell red from blue. This is what grounding data adds to detection data: not boxes, but
#   words.
# * **One word a name** gets 0.89 to 0.99 on the names that it saw, but 0.03 to 0.21 on the others. This is below
#   chance, because the vector of a word that was never trained points in a random direction. A fixed list of classes
#   does not grow when you ask for a new class.
# * **Shuffled captions** are at chance, 0.30 to 0.34 over all names, and yet they put a box on practically every shape.
#
# ## Why does a shuffled caption still find boxes?
#
# You should take the row of the shuffled captions as a warning. Its boxes look perfect. **Finding boxes is no evidence
# that a model has read the caption.** Think about the reason before you read on.
#
# <details><summary>Answer</summary>
#
# The loss of the boxes does not contain the caption, so the detector learns boxes as before. What can it learn from the
# words? The caption of another image tells it only one thing about a region. When the region shows *any* shape, 2 of
# the 12 words in the caption are marked, no matter which; when it shows the background, none is. The best the model can
# do is to give **every word the same probability where there is a shape, and almost 0 elsewhere**. Each word will then
# find each shape, and the boxes are right. Only a test with other shapes in the image can show that the names don't
# mean anything.
# </details>
#
# A test can hide the same fault without any shuffling. If there were only one shape in each test image, a detector
# might ignore the caption and still score as well as one that reads it. This is why there are three shapes in each of
# our test images that are *nearly* right.
#
# We can also shuffle in another way: we leave training as it was, and reverse the words of the *question*.

# %% tags=["experiment"]
captions = measured.runs["captions"]
all_names = sum(captions.precision.values()) / len(captions.precision)
print(f"mAP of all names: {all_names:.2f} asked as 'red ring', {measured.reversed_words:.2f} asked as 'ring red'")
print(
    f"best score for a held-out name: {measured.sure[0]:.2f} where it is there, {measured.sure[1]:.2f} where it is not"
)

# %% [markdown] tags=["experiment"]
# When we reverse the words, the detector still reaches a mAP of 0.60 to 0.72 (three seeds), because *ring* points to
# rings by itself, and *red* to red shapes, in either order. We only lose what comes from the neighbours: in training, a
# colour was always followed by a form.
#
# For a held-out name, the detector mostly ranks the right shape first, but with a low score. Its best score is 0.28 to
# 0.44 where the shape is there, and 0.07 to 0.13 where it is not. Average precision hides this, since it depends only
# on the order. But if you use a threshold that suits the names it has seen, you will miss many of the held-out names.
#
# ## Ask it yourself
#
# This is the first detector, with new images. The network for the captions runs in the page.
#
# 1. *Step through "red ring. blue ring". Is the "ring" of one name bright at the other? Compare with the board at the
#    top.*
# 2. *Write just "ring", and then "ring. ring". Write "ring red".*
# 3. *Ask for the held-out names, "red disc", "yellow triangle", "white disc". How sure is it?*

# %% tags=["experiment", "widget"]
CaptionLights.of(captions.model, seed=5)

# %% [markdown]
# ## What does not reproduce at this size
#
# * **49.8 AP on COCO, and 26.9 on LVIS**, both zero-shot. Our names are made of 11 words, and we trained on all of
#   these. We reproduce that the detector can find a *pair* of words that no box had. It would not find a colour that
#   was in none of the captions.
# * **Grounding data alongside detection data.** The paper adds captions to a large detection set, and rare names gain
#   most:
#
#   | training (the paper's GLIP-T) | COCO, zero-shot AP | LVIS, AP of rare names |
#   |---|---|---|
#   | A: detection data | 42.9 | 14.2 |
#   | B: A, with deep fusion | 44.9 | 13.5 |
#   | C: B, with gold grounding data | 46.7 | 17.7 |
#
#   We replace the text of the same images instead, so only the text differs.
# * **Deep fusion**, layers in which regions and words exchange information before we compare them. Ours meet only in
#   the dot product, as in row A. In the table, fusion helps on COCO, but not with rare names. We have not tested it at
#   this size.
# * **Self-training**: the authors use a first GLIP to predict boxes for the phrases of 24 million captions from the
#   web, and train a second GLIP on these.
#
# ## Common misconceptions
#
# * *"GLIP is a detector with 91 classes and a sentence vector as one more input."* Such a network has no product of
#   regions and words, so it can only find things that are among its classes.
# * *"A score is a cosine."* It is a dot product with a bias, so the length of a region's vector tells you how sure it
#   is.
# * *"What it was not trained on gets the class 'unknown'."* There is no such class, but all words might have a low
#   probability.
# * *"Zero-shot on COCO means that it never saw such things."* It saw no *image* from COCO. But its detection data,
#   Objects365, has most of COCO's classes.
# * *"Good boxes show that it understood the caption."* You get the same boxes with shuffled captions.
#
# ## You can now
#
# * turn a list of names into a prompt, and tell which tokens belong to which name;
# * replace a classifier's rows by word vectors, and train them using a focal loss over tokens;
# * decode scores of regions into boxes, and compute average precision so that a double find is an error;
# * explain how to check whether a detector has read its caption;
# * decide which new names we can find zero-shot, and which we cannot.
#
# ## Open tasks
#
# * **Ten minutes.** Call `ground` on batches in which each image has the list of names of another image, as in the
#   experiment. You should see boxes on all shapes for each name as soon as you lower the score from 0.3 to 0.1.
# * **An hour.** Remove the weights of the neighbours: set `detector.mix.weight[:, :, 0]` and `[:, :, 2]` to zero after
#   each step, and train. You should see scores near one half where two names in a caption share a word.
# * **A day.** Add relations: use captions such as "left disc. right disc" for images with two discs of the same colour.
#   You should see that the dot product cannot tell them apart, because no region knows what the others show. Then let
#   the regions exchange information through a layer of attention, and measure again.
#
# ## Further reading
#
# * [Li et al. 2021](https://arxiv.org/abs/2112.03857), GLIP: section 3.1 is your first four exercises.
# * [Kamath et al. 2021](https://arxiv.org/abs/2104.12763), MDETR: grounding with a transformer decoder and matching.
# * [Zhang et al. 2022](https://arxiv.org/abs/2206.05836), GLIPv2: uses the same scores for masks, captions and
#   questions.
# * [Liu et al. 2023](https://arxiv.org/abs/2303.05499), Grounding DINO: what people use today, with fusion in three
#   places.
