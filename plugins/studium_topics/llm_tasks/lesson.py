# %% [markdown]
# # LLM tasks: from fine-tuning to applications
#
# Two colleagues fine-tune the same model on the same conversations, using the same optimiser and the same number of
# steps. Both losses fall. One model answers nearly every question. The other answers **none**. Their programs differ in
# a single index, by one: it is in the row of booleans that decides which tokens the loss sees.
#
# This lesson is about that row. A language model does one thing: it writes one token after another. For such a model,
# classification, translation and chat are all a tape of tokens, and they differ in which tokens are lit. A *lit* token
# is one that the loss sees, so we train the model to write it; a *dark* token is only read. **Choose a task, then
# change what the loss sees.**

# %% tags=["widget"]
from studium_topics.llm_tasks.bench import FormatBench

FormatBench.tasks()

# %% [markdown]
# In this lesson you will
#
# 1. **turn** a conversation into tokens, and tell which ones are lit;
# 2. **find** the mistake that trains on the prompt, and measure what it costs;
# 3. **pack** conversations into full rows so that they do not influence one another;
# 4. **fine-tune** one tiny base model on three tasks with LoRA, and then on all three at once;
# 5. **compare** three places for the knowledge that a task needs: the weights, the context, and an index.
#
# **You need** adapters, from [lora](lora.ipynb), and cross-entropy. **Time:** 18 minutes of reading, 117 of coding, 2
# of running.
#
# **History.** Before 2018, people built a different model for each task. GPT ([Radford et al.
# 2018](https://cdn.openai.com/research-covers/language-unsupervised/language_understanding_paper.pdf)) and BERT used
# one pretrained body and put a new head on it for each task. T5 ([Raffel et al.
# 2019](https://arxiv.org/abs/1910.10683)) removed the heads and wrote every task as text. FLAN ([Wei et al.
# 2021](https://arxiv.org/abs/2109.01652)) and InstructGPT ([Ouyang et al. 2022](https://arxiv.org/abs/2203.02155))
# trained on many tasks in plain words, so you can describe a new task in a sentence and need no training.
#
# | symbol | meaning |
# |---|---|
# | $B, T, V$ | rows of a batch, tokens of a row, words of the vocabulary |
# | $w_t$ | the token at place $t$ |
# | $m_t$ | 1 if token $t$ is lit, 0 if it is dark |
# | $x, y$ | a prompt and its answer |
# | $p(w_t \mid w_{<t})$ | the model's probability for token $t$, given those before it |
# | $r$ | rank of a LoRA update |

# %%
from studium import show_table
import torch

from studium_topics.llm_tasks import experiment, figures, tape, tuning
from studium_topics.llm_tasks.library import library_tokenizer, peft_model
from studium_topics.llm_tasks.model import adapt, base_model
from studium_topics.llm_tasks.tape import NUMBERS
from studium_widgets import Diagram

# %% [markdown]
# ## A task is a labelling of the tape
#
# Our language is small. It has clauses such as *these small dogs sleep .*, and it has **Mirror**, in which we spell
# every word backwards and put the adjective after the noun. Here are eight tasks, most of them for the same clause. The
# loss sees the answer, and after the answer another lit token, `[END]`. The last column gives us the usual metric. If
# this lesson does not explain a metric, you will find it in [llm-evaluation-metrics](llm-evaluation-metrics.ipynb).
#
# | task | prompt (dark) | answer (lit) | metric |
# |---|---|---|---|
# | classification | number : these small dogs sleep . | plural | accuracy |
# | tagging | tag : these small dogs sleep . | DETERMINER ADJECTIVE NOUN VERB STOP | F1 of the tags |
# | extraction | noun : these small dogs sleep . | dogs | exact match, F1 |
# | question answering | these small dogs sleep . answer : small dogs ? | sleep | exact match, F1 |
# | summarisation | summarise : these small dogs sleep . | dogs sleep | `ROUGE`, human judges |
# | translation | translate : these small dogs sleep . | eseht sgod llams peels . | BLEU, chrF |
# | code | code : the third word of s | s.split()[2] | pass@k: run the tests |
# | chat | a conversation so far | the next message | win rate against another model |
#
# All the rows use the same architecture and the same loss. Why this loss? We want the answer to be likely, given the
# prompt. By the chain rule
#
# $$ \log p(y \mid x) = \sum_{t \text{ in the answer}} \log p(w_t \mid w_{<t}) = \sum_t m_t \log p(w_t \mid w_{<t}) . $$
#
# The <dfn>loss mask</dfn> of a text is the row of numbers $m_t$ that tells us which of its tokens the loss sees. If we
# average over all lit tokens of a batch, we get the loss of <dfn>supervised fine-tuning</dfn>, which trains a
# pretrained model on prompts with their right answers:
#
# $$ L = -\frac{\sum_t m_t \log p(w_t \mid w_{<t})}{\sum_t m_t} . $$

# %% tags=["diagram"]
Diagram.from_package("studium_topics.llm_tasks", "flow.svg")

# %% [markdown]
# There are three ways to get a decision from a text model, and you will meet all three in practice. A *head* is a new
# matrix on top of the last vector, with one row for each class, so it cannot give any other answer. A *verbaliser*
# compares the probabilities of a few fixed answers. *Generation* writes the answer token by token, and you can use it
# for every row of the table. In this lesson we generate.
#
# ## The template
#
# A <dfn>chat template</dfn> turns a list of messages into one line of tokens, with special tokens that mark the speaker
# and the end of a message. Special tokens are ordinary rows of the embedding table. What makes them special is that
# users cannot type them. If there is an `[END]` in a user's text, for example, it must be read as letters and brackets.
# Otherwise users might end their message and write the assistant's. (The texts in this lesson do not contain brackets,
# so you don't need to check for this.)
#
# Which tokens are lit? When you use the model, a program writes everything up to `[ASSISTANT]`, and the model continues
# from there until it writes `[END]`. Light exactly what the model needs to write.

# %% exercise="render"
from studium_topics.llm_tasks.exercises import render

# %%
talk = [{"role": "system", "content": "translate"}, *tape.turn("translate", ("these", "small", "dogs", "sleep", "."))]
ids, lit = lesson.mine(render)(talk, NUMBERS)
print(" ".join(f"«{tape.WORDS[token]}»" if seen else tape.WORDS[token] for token, seen in zip(ids, lit, strict=True)))

# %% [markdown]
# **In practice**, you would use `tokenizer.apply_chat_template`. Models are published with a template, which is a small
# program in Jinja; `{% generation %}` marks what the assistant writes. Here is our template, on a tokenizer made from
# the words of this lesson.

# %% tags=["experiment", "bridge"]
try:
    tokenizer = library_tokenizer()
except ImportError:
    print("transformers is not installed here; `pip install transformers` brings tokenizer.apply_chat_template.")
else:
    theirs = tokenizer.apply_chat_template(talk, return_dict=True, return_assistant_tokens_mask=True)
    print("tokens that differ:", sum(a != b for a, b in zip(theirs["input_ids"], ids, strict=True)))
    print("lights that differ:", sum(a != b for a, b in zip(theirs["assistant_masks"], lit, strict=True)))
    print("labels:", [token if seen else -100 for token, seen in zip(ids, theirs["assistant_masks"], strict=True)])
    print(type(tokenizer))

# %% [markdown]
# The last line but one shows the form in which libraries expect a loss mask: a dark token has the label -100, and
# `F.cross_entropy` skips it.
#
# ## The loss that trains on the prompt
#
# The model's row of logits at place $t$ is about token $t + 1$, so somewhere in the program we need to shift everything
# by one. It is important to shift ids and mask *together*. Otherwise the first token of an answer goes dark, and the
# token after the answer is lit, which is the header of the next user. The loss falls as before, because headers are
# easy. What will this model write?
#
# A second mistake is harder to notice. If you take the mean over *all* tokens, including the dark ones, you get the
# right loss times the share of lit tokens. A batch of long prompts then has a smaller gradient than a batch of short
# prompts, for no reason.

# %% exercise="answer_loss"
from studium_topics.llm_tasks.exercises import answer_loss

# %% [markdown]
# **Think about it.** Would it be a mistake to light the *whole* text, both prompt and answer?
#
# <details><summary>Answer</summary>
#
# It would be a different goal: $\log p(x, y) = \log p(x) + \log p(y \mid x)$. The second term is ours, while the first
# trains the model to write questions. Its gradient is not wrong, but it serves another goal, and it can be much larger
# than the gradient of the answer. We draw a clause at random from 1782, so it has $\ln 1782 = 7.5$ nats of loss that
# you cannot train away. You will measure the effect.
# </details>
#
# ## Is the answer right?
#
# The loss is an average over tokens, but a user reads whole answers. The <dfn>exact match</dfn> of a model is the share
# of prompts for which its answer is right to the last token. The obvious way to measure it is to decode token by token.
# If we decode greedily, however, there is a shortcut: one pass over the right text. Can you find out why this is
# enough?

# %% exercise="greedy_matches"
from studium_topics.llm_tasks.exercises import greedy_matches

# %% [markdown]
# ## Many conversations, one rectangle
#
# Conversations have different lengths, but a batch is a rectangle. Padding fills it up with tokens that we compute and
# then throw away. <dfn>Packing</dfn> puts several examples one after another into a row ([Krell et al.
# 2021](https://arxiv.org/abs/2107.02027)). An example in a packed row must get exactly the same logits as it would get
# by itself. This means that its neighbours must not influence it in any of three places:
#
# * **attention**: a token may look only at its example, so we need a mask of blocks;
# * **positions**: they start at 0 in each example (our model adds a learned vector for each position; with rotary
#   positions only differences count, so the blocks would be enough);
# * **the loss**: we must not train the last token of one example to predict the first token of the next.

# %% exercise="pack"
from studium_topics.llm_tasks.exercises import pack

# %% exercise="block_mask"
from studium_topics.llm_tasks.exercises import block_mask

# %% [markdown]
# Now let's test this with 24 conversations of one to four turns, separately and packed. In the last two rows, one thing
# is missing.

# %% tags=["experiment"]
parts = {"render": lesson.mine(render), "pack": lesson.mine(pack), "block_mask": lesson.mine(block_mask)}
packed = experiment.packing(**parts, profile=lesson.profile, seed=0)
print(f"padding: {packed.padded:.0%} of all tokens with one conversation a row, {packed.packed:.0%} packed")
show_table(
    ["", "largest change in a logit, compared with each conversation by itself"],
    [
        ("mask of blocks, own positions", f"{packed.whole:.0e}"),
        ("mask of blocks, positions run on", f"{packed.no_reset:.2f}"),
        ("only the triangle, own positions", f"{packed.no_mask:.2f}"),
    ],
)

# %% [markdown]
# **In practice**, you would use `DataCollatorWithFlattening` from transformers. It passes the positions on, and an
# attention kernel can find the borders between the examples, because that is where the positions start again at 0.
#
# ## The loop
#
# You have every part of supervised fine-tuning. Our base is a decoder with two layers of width 64. We pretrained it on
# text in both languages, some of it with translations, and on special tokens around random words, but not on any task.
# `adapt` gives each of its Linears a LoRA update, as you wrote it in [LoRA](lora.ipynb). Now write the loop.

# %% exercise="finetune"
from studium_topics.llm_tasks.exercises import finetune

# %% tags=["experiment"]
clauses, held_out = tuning.split(seed=0)
conversations = tuning.material(["translate"], lesson.profile.choose(smoke=80, laptop=8000, gpu=8000), clauses, 0)
tests = [tape.turn("translate", clause) for clause in held_out]
base = tuning.pretrained(lesson.profile)
model, losses, exact = lesson.mine(finetune)(
    base, conversations, tests, NUMBERS, 8, 64, 8, 1e-2, torch.Generator().manual_seed(0)
)
print(f"{len(conversations)} conversations, {len(losses)} steps: loss {losses[0]:.2f} to {losses[-1]:.2f}")
print(f"exact match on {len(tests)} clauses that it has never seen: {exact:.1%}")
figures.losses(losses)

# %% [markdown]
# Here is the same adapter in **peft**, with your trained factors:

# %% tags=["experiment", "bridge"]
try:
    library = peft_model(base, model)
except ImportError:
    print("peft is not installed here; `pip install peft` brings LoraConfig and get_peft_model.")
else:
    ids = torch.tensor([lesson.mine(render)(one, NUMBERS)[0] for one in tests[:20]])
    with torch.no_grad():
        apart, moved = ((model(ids) - other(ids)).abs().max() for other in (library, base))
    print(f"largest difference between logits: {apart:.0e} from peft, {moved:.0f} from the base; {type(library)}")

# %% [markdown] tags=["experiment"]
# ## One base, three tasks
#
# We will train three adapters for one task each, and a fourth for all three tasks, with twice the steps. Then we test
# each adapter on each task, using the held-out clauses, with the task's name in the prompt. What will the translator do
# if you ask it for the number?

# %% tags=["experiment"]
lesson.predict(
    "wrong task", ..., "If you ask the translation adapter for the number, what is its exact match, from 0 to 1?"
)

# %% tags=["experiment"]
blocks = {name: lesson.mine(part) for name, part in (("render", render), ("greedy_matches", greedy_matches))}
blocks["finetune"] = lesson.mine(finetune)
tuned = experiment.adapters(**blocks, profile=lesson.profile, seed=0)
print(f"{tuned.trained} trained parameters for each adapter")
show_table(
    ["exact match", *tuned.tasks],
    [(name, *(f"{value:.1%}" for value in row)) for name, row in tuned.table.items()],
)
lesson.found("wrong task", tuned.table["translate"][0], within=0.05)

# %% [markdown] tags=["experiment"]
# Each single-task adapter does only its task, whatever you ask for in the prompt. In its training, the first word never
# mattered, so it learned to ignore it. The fourth adapter has seen three first words with three meanings, so it reads
# the first word.
#
# What if the prompt does *not* name the task? A prompt has just one greedy answer, but the three tasks want three
# different answers. So over the three tasks, the exact match is at most 1/3, for any model. You cannot get past this
# bound with better weights; the context needs to tell the model which task you mean.
#
# ## Which tokens should the loss see?
#
# Let's go back to our two colleagues, and add a third, who lights the whole text. They use the same base, the same
# packed rows in the same order, and the same number of steps; only the lights are different. We measure the exact match
# every 40 steps, on all three tasks.

# %% tags=["experiment"]
lesson.predict(
    "every token",
    ...,
    "If lighting only the answers gives nearly 1, what exact match will we get with every token lit?",
)

# %% tags=["experiment"]
names = {"render": render, "pack": pack, "block_mask": block_mask, "answer_loss": answer_loss}
names["greedy_matches"] = greedy_matches
seen = experiment.prompt_loss(
    **{name: lesson.mine(part) for name, part in names.items()}, profile=lesson.profile, seed=0
)
for name, curve in seen.curves.items():
    print(f"{name:15} exact match {curve[-1]:.1%} after {seen.steps[-1]} steps")
lesson.found("every token", seen.curves["every token"][-1], within=0.15)
figures.prompt_curves(seen)

# %% [markdown] tags=["experiment"]
# **One place late** is the colleague from the beginning. The first token of an answer was never trained, so the answers
# do not begin correctly and the exact match is 0, although the loss falls on the tokens that it sees.
#
# **Every token** is the third colleague. Most of the lit tokens belong to prompts, and you cannot train a model to
# predict the next random clause. In the figure, look at the plateau at 1/3, which is what a model gets if it does one
# of the three tasks. The run with the loss on the answers is the first to leave it.
#
# ## Examples in the context
#
# GPT-3 ([Brown et al. 2020](https://arxiv.org/abs/2005.14165)) made a different way popular: instead of training the
# model, you put a few examples in the prompt. <dfn>In-context learning</dfn> is what a model does when examples in its
# prompt change its answer while its weights stay the same. When can this work?
#
# We will fine-tune the base on dialogues of three turns. A dialogue uses just *one* of the three tasks and never names
# it. In the first turn, our bound of 1/3 holds. By the second, the first answer has shown which task it is. The test
# also has dialogues with a task that was not in any training dialogue: to answer with only the noun. What will its
# examples do?

# %% tags=["experiment"]
lesson.predict("new task", ..., "What is the exact match on the new task in the third turn, after two examples?")

# %% tags=["experiment"]
shown = experiment.in_context(**blocks, profile=lesson.profile, seed=0)
curves = {**shown.by_turn, "noun (new)": shown.new_by_turn}
show_table(
    ["exact match", *(f"turn {turn}" for turn in range(1, len(shown.new_by_turn) + 1))],
    [(name, *(f"{value:.1%}" for value in curve)) for name, curve in curves.items()],
)
print(f"noun, after fine-tuning on it: {shown.new_tuned:.1%}")
lesson.found("new task", shown.new_by_turn[-1], within=0.05)
figures.turns(shown)

# %% [markdown] tags=["experiment"]
# In the first turn, the three exact matches add up to at most one. They must, because the model can only guess the
# task. One example is enough to lift them. The model does not learn the task here; it *recognises* the task, because
# all three are already in the weights. [Min et al. 2022](https://arxiv.org/abs/2202.12837) found that in
# classification, large models can use examples with random labels nearly as well as examples with the right labels,
# which points in the same direction. You can see the limit with the new task: its examples can only select among the
# tasks that the model knows, and all of these are wrong. If we fine-tune on the new task, it works: 240 steps are
# enough.
#
# ## Look it up
#
# You can train tasks into the weights, and you can put facts there too: *clever teachers wait*, *hungry foxes hide*, 99
# of them. One way is for the model to learn them by heart. The other is for it to learn how to *read*, so that we can
# give it the right fact with the question: <dfn>retrieval-augmented generation</dfn> puts documents that an index finds
# into the prompt of a model ([Lewis et al. 2020](https://arxiv.org/abs/2005.11401)).
#
# The index needs to measure how close two texts are. <dfn>Tf-idf</dfn> counts words and weights each by its rarity, an
# idea of [Spärck Jones 1972](https://doi.org/10.1108/eb026526): a word that is in $n$ of $N$ documents has the weight
# $\ln (N/n)$. The probability that a random document has the word is $n/N$, so the weight is the information, in nats,
# that you get when you learn that it does. If every document has the word, its weight is 0, because it cannot help you
# tell the documents apart.

# %% exercise="retrieve"
from studium_topics.llm_tasks.exercises import retrieve

# %% [markdown] tags=["experiment"]
# Now let's change 33 of the 99 facts. For the index, this is an assignment in a list. For the model that knows the
# facts by heart, it would be another training run.

# %% tags=["experiment"]
known = experiment.knowledge(**blocks, retrieve=lesson.mine(retrieve), profile=lesson.profile, seed=0)
show_table(
    ["exact match", "before", "on 33 changed facts"],
    [
        ("learned by heart", f"{known.memory:.1%}", f"{known.memory_changed:.1%}"),
        ("reads what the index finds", f"{known.retrieved:.1%}", f"{known.retrieved_changed:.1%}"),
        ("reads a document at random", f"{known.wrong_document:.1%}", None),
    ],
)
index = [fact[:3] for fact in known.facts]
for asked in (["clever", "teachers", "?"], ["foxes", "?"]):
    found = lesson.mine(retrieve)(asked, index, 3)
    print(" ".join(asked), "→", "; ".join(" ".join(index[at]) for at in found))

# %% [markdown]
# The last row is important. A model that reads will repeat what the document says, so if the document is wrong, its
# answer is wrong. A system like this cannot be better than its index.
#
# **Think about it.** A customer's contracts change daily, but the tone in which the assistant should answer stays the
# same. What should you put in the weights, what in the context, and what in the index?
#
# <details><summary>Answer</summary>
#
# The tone and the format are in every answer and never change, so they go in the weights. The contracts change, and
# they are too many for a prompt, so they go in the index. What this user said a minute ago goes in the context.
# </details>
#
# ## What does not reproduce at this size
#
# * **In-context learning of something new.** Our model recognises tasks that we trained it on. Large models can also
#   learn mappings from the context that they have never seen; with two layers and a few hundred steps, ours cannot.
# * **Choosing among several documents.** We give our reader just one. When we trained models of this size from scratch,
#   for 800 to 1000 steps, to answer from four facts, they were right in 32 to 39 % of cases. This is little better than
#   a guess among the four.
# * **Tasks that were never trained.** FLAN, with 137 billion parameters, tuned on many tasks in words, beat GPT-3
#   without examples on 20 of 25 data sets (abstract of [Wei et al.](https://arxiv.org/abs/2109.01652)). We gave our
#   model three instructions, and it understands three words.
# * **A harmless prompt loss.** Our prompts are random clauses, which is the worst case, and our training is short. With
#   real instructions, [Shi et al. 2024](https://arxiv.org/abs/2405.14394) found that a loss on the prompt often helps,
#   above all if you have little data, or if the prompts are long and the answers short.
# * **Long answers.** Exact match is fine for answers of five words. Whole texts need other metrics, and each metric has
#   a different blind spot.
#
# ## Common misconceptions
#
# * *"A new task needs a new architecture."* You need to light different tokens.
# * *"Padding costs nothing, it is masked."* You compute it like any other token, and then throw it away.
# * *"Loss on the prompt costs nothing."* Its gradient shares the same few parameters and steps.
# * *"A low loss means right answers."* The loss is a mean over tokens, while one wrong token makes the answer wrong.
# * *"Facts belong in the weights."* You can put them there by fine-tuning, but for each change you need another
#   training run.
#
# ## You can now
#
# * write a task as a line of tokens and tell which ones are lit;
# * find an off-by-one in a loss mask, and predict what it will do to a model;
# * pack examples so that they get the same logits as they would by themselves, and test this;
# * fine-tune a model with LoRA, from a list of conversations to an exact match;
# * decide whether a task's knowledge belongs in the weights, the context or an index, and measure it.
#
# ## Open tasks
#
# * **Ten minutes.** Ask the adapter for all three tasks, using a first word that we did not train it on, such as
#   `noun`. You should see that it answers all the same, in the format of one of its three tasks.
# * **An hour.** Train `finetune` on translation with 100, 400 and 1600 *different* clauses, repeated to the same number
#   of steps. You should see similar losses at the end, but different exact matches on held-out clauses.
# * **A day.** Add a head for *number*: a Linear from the last vector to two classes. Compare it with generation on 10,
#   30 and 100 examples. You should see that the head never answers anything but the two classes, and when this helps.
#
# ## Further reading
#
# * [Raffel et al. 2019, T5](https://arxiv.org/abs/1910.10683): section 2.4 writes every task as text.
# * [Ouyang et al. 2022, InstructGPT](https://arxiv.org/abs/2203.02155): supervised fine-tuning as the first of three
#   steps; preferences come after it.
# * [Zhou et al. 2023, LIMA](https://arxiv.org/abs/2305.11206): how far you can get with a thousand good conversations.
# * [Min et al. 2022](https://arxiv.org/abs/2202.12837): how much of in-context learning is recognising the task.
