# %% [markdown]
# # LLM tasks: from fine-tuning to applications
#
# Two colleagues fine-tune the same model on the same conversations, with the same optimiser and the same steps. Both
# losses fall. One model answers nearly every question. The other answers **none**. Their programs differ in one
# index: `lit[:, 1:]` in one, `lit[:, :-1]` in the other.
#
# `lit` says which tokens the loss sees, and this lesson is about it. A language model does one thing: it writes one
# token after another. Classification, translation, chat are the same tape of tokens with different tokens lit.
# **Choose a task below, then change what the loss sees.** A lit token pulls at the model; a dark one is only read.

# %% tags=["widget"]
from studium_topics.llm_tasks.bench import FormatBench

FormatBench.tasks()

# %% [markdown]
# In this lesson you will
#
# 1. **turn** a conversation into tokens, and say which of them are lit;
# 2. **find** the mistake that trains on the prompt, and measure what it costs;
# 3. **pack** conversations into full rows so that none of them notices the others;
# 4. **fine-tune** one tiny base model to three tasks with LoRA, and then to all three at once;
# 5. **compare** three places for what a task needs: the weights, the context, and an index.
#
# You need [LoRA](lora.ipynb) and cross-entropy. Time: 25 minutes of reading, 117 of coding, 2 of running.
#
# **Before 2018**, each task had a model of its own. GPT ([Radford et al.
# 2018](https://cdn.openai.com/research-covers/language-unsupervised/language_understanding_paper.pdf)) and BERT kept
# one pretrained body and put a new head on it for each task. T5 ([Raffel et al.
# 2019](https://arxiv.org/abs/1910.10683)) removed the heads and wrote every task as text; FLAN ([Wei et al.
# 2021](https://arxiv.org/abs/2109.01652)) and InstructGPT ([Ouyang et al. 2022](https://arxiv.org/abs/2203.02155))
# trained on many tasks in plain words, so that a new one needs a sentence and no training.
#
# | symbol | meaning |
# |---|---|
# | $B, T, V$ | rows of a batch, tokens of a row, words of the vocabulary |
# | $w_t$ | the token at place $t$ |
# | $m_t$ | 1 if token $t$ is lit, 0 if it is dark |
# | $x, y$ | a prompt and its answer |
# | $p(w_t \mid w_{<t})$ | what the model says about token $t$, having read those before it |
# | $r$ | rank of a LoRA update |

# %%
import torch

from studium_topics.llm_tasks import experiment, figures, tape
from studium_topics.llm_tasks.library import library_tokenizer, peft_model
from studium_topics.llm_tasks.model import adapt, base_model
from studium_topics.llm_tasks.tape import NUMBERS
from studium_widgets import Diagram

# %% [markdown]
# ## A task is a labelling of the tape
#
# Our language is small: clauses such as *these small dogs sleep .*, and **Mirror**, in which every word is spelled
# backwards and the adjective follows the noun. Here is one clause in eight tasks. The column *lit* is what the loss
# sees; after it comes one more lit token, `[END]`.
#
# | task | prompt (dark) | answer (lit) | metric |
# |---|---|---|---|
# | classification | number : these small dogs sleep . | plural | accuracy |
# | tagging | tag : these small dogs sleep . | DETERMINER ADJECTIVE NOUN VERB STOP | F1 of the tags |
# | extraction | noun : these small dogs sleep . | dogs | exact match, F1 |
# | question answering | these small dogs sleep . answer : small dogs ? | sleep | exact match, F1 |
# | summarisation | summarise : these small dogs sleep . | dogs sleep | ROUGE, human judges |
# | translation | translate : these small dogs sleep . | eseht sgod llams peels . | BLEU, chrF |
# | code | code : the third word of s | s.split()[2] | pass@k: run the tests |
# | chat | a conversation so far | the next message | win rate against another model |
#
# The architecture is the same in all rows, and so is the loss. Why this loss? We want the answer to be likely, given
# the prompt. By the chain rule
#
# $$ \log p(y \mid x) = \sum_{t \text{ in the answer}} \log p(w_t \mid w_{<t}) = \sum_t m_t \log p(w_t \mid w_{<t}) . $$
#
# The <dfn>loss mask</dfn> of a text is the row of numbers $m_t$ that says which of its tokens the loss sees. Averaged
# over all lit tokens of a batch, this is the loss of <dfn>supervised fine-tuning</dfn>, which trains a pretrained model
# on prompts with their right answers:
#
# $$ L = -\frac{\sum_t m_t \log p(w_t \mid w_{<t})}{\sum_t m_t} . $$

# %% tags=["diagram"]
Diagram.from_package("studium_topics.llm_tasks", "flow.svg")

# %% [markdown]
# A text model has three ways to give a decision, and you will meet all of them. A *head* is a new matrix on top of the
# last vector, one row for each class; it cannot say anything else. A *verbaliser* compares the probabilities of a few
# fixed answers. *Generation* writes the answer token by token, and fits every row of the table. This lesson generates.
#
# ## The template
#
# A <dfn>chat template</dfn> turns a list of messages into one line of tokens, with special tokens for who speaks and
# where a message ends. Special tokens are ordinary rows of the embedding table. What makes them special is that no user
# can type them: `[END]` in a user's text has to come out as the four letters and two brackets, or users could speak
# with the assistant's voice.
#
# Which tokens are lit? When the model is used, a program writes everything up to `[ASSISTANT]`, and the model goes on
# from there, until it writes `[END]`. Light exactly what the model has to write.

# %% exercise="render"
from studium_topics.llm_tasks.exercises import render

# %%
talk = [{"role": "system", "content": "translate"}, *tape.turn("translate", ("these", "small", "dogs", "sleep", "."))]
ids, lit = lesson.mine(render)(talk, NUMBERS)
print(" ".join(f"«{tape.WORDS[token]}»" if seen else tape.WORDS[token] for token, seen in zip(ids, lit, strict=True)))

# %% [markdown]
# **In practice** this is `tokenizer.apply_chat_template`. Models are published with a template, a small program in
# Jinja; `{% generation %}` marks what the assistant writes. Here is ours, on a tokenizer made from this lesson's words.

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
# The last line but one is the form in which libraries take a loss mask: a dark token has the label -100, and
# `F.cross_entropy` skips it.
#
# ## The loss that trains on the prompt
#
# The model's row of logits at place $t$ is about token $t + 1$, so somewhere in the program everything is shifted by
# one. Ids and mask must be shifted *together*. Otherwise the first token of an answer goes dark, and the token behind
# the answer is lit: the header of the next user. The loss falls as before, since headers are easy. What will this model
# write?
#
# A second mistake is quieter. A mean over *all* tokens, dark ones included, is the right loss times the share of lit
# tokens. With long prompts the steps shrink, and a batch of short prompts counts more than one of long prompts.

# %% exercise="answer_loss"
from studium_topics.llm_tasks.exercises import answer_loss

# %% [markdown]
# **To think about.** Is it a mistake to light the *whole* text, prompt and answer?
#
# <details><summary>Answer</summary>
#
# It is another goal: $\log p(x, y) = \log p(x) + \log p(y \mid x)$. The second term is ours. The first one trains the
# model to write questions. Its gradient is not wrong, only about something else, and it can drown the answer's: a
# clause has $\ln 1782 = 7.5$ nats of surprise that no training removes. You will measure it.
# </details>
#
# ## Is the answer right?
#
# The loss is an average over tokens, and a user reads whole answers. The <dfn>exact match</dfn> of a model is the share
# of prompts for which its answer is right to the last token. To measure it, one would decode token by token. For greedy
# decoding there is a shortcut: one pass over the right text. Find out why it is enough.

# %% exercise="greedy_matches"
from studium_topics.llm_tasks.exercises import greedy_matches

# %% [markdown]
# ## Many conversations, one rectangle
#
# Conversations differ in length, a batch is a rectangle. Padding fills it up with tokens that are computed and thrown
# away. <dfn>Packing</dfn> puts several examples one behind the other into a row. An example in a packed row must get
# exactly the logits that it gets alone, so it may notice its neighbours in none of three places:
#
# * **attention**: a token may look at its own example alone, which needs a mask of blocks;
# * **positions**: they start at 0 in each example (our model adds a learned vector for each position; with rotary
#   positions only differences count, and the blocks alone suffice);
# * **the loss**: the last token of one example must not be asked for the first token of the next.

# %% exercise="pack"
from studium_topics.llm_tasks.exercises import pack

# %% exercise="block_mask"
from studium_topics.llm_tasks.exercises import block_mask

# %% [markdown]
# Now the test: 24 conversations of one to four turns, alone and packed. In the last two rows one thing is missing.

# %% tags=["experiment"]
parts = {"render": lesson.mine(render), "pack": lesson.mine(pack), "block_mask": lesson.mine(block_mask)}
packed = experiment.packing(**parts, profile=lesson.profile, seed=0)
print(f"padding: {packed.padded:.0%} of all tokens with one conversation a row, {packed.packed:.0%} packed")
print("largest change of a logit, against each conversation alone:")
print(f"    mask of blocks, own positions      {packed.whole:.0e}")
print(f"    mask of blocks, positions run on   {packed.no_reset:.2f}")
print(f"    triangle alone, own positions      {packed.no_mask:.2f}")

# %% [markdown]
# **In practice** this is `DataCollatorWithFlattening` of transformers, which passes the positions on; an attention
# kernel reads the borders off them.
#
# ## The loop
#
# You have every part of supervised fine-tuning. The base is a decoder with two layers of width 64. It has read pages of
# both languages, some with translations, and scraps of markup around random words, but not a single task. `adapt` gives
# each of its Linears a LoRA update, as you wrote it in [LoRA](lora.ipynb). Write the loop.

# %% exercise="finetune"
from studium_topics.llm_tasks.exercises import finetune

# %% tags=["experiment"]
clauses, held_out = experiment.split(seed=0)
conversations = experiment.material(["translate"], lesson.profile.choose(smoke=80, laptop=5400, gpu=5400), clauses, 0)
tests = [tape.turn("translate", clause) for clause in held_out]
base = experiment.pretrained(lesson.profile)
model, losses, exact = lesson.mine(finetune)(
    base, conversations, tests, NUMBERS, 8, 64, 8, 1e-2, torch.Generator().manual_seed(0)
)
print(f"{len(conversations)} conversations, {len(losses)} steps: loss {losses[0]:.2f} to {losses[-1]:.2f}")
print(f"exact match on {len(tests)} clauses that it has never seen: {exact:.1%}")
figures.losses(losses)

# %% [markdown]
# And the same adapter in **peft**, with your trained factors:

# %% tags=["experiment", "bridge"]
try:
    library = peft_model(base, model)
except ImportError:
    print("peft is not installed here; `pip install peft` brings LoraConfig and get_peft_model.")
else:
    ids = torch.tensor([lesson.mine(render)(one, NUMBERS)[0] for one in tests[:20]])
    with torch.no_grad():
        apart, moved = ((model(ids) - other(ids)).abs().max() for other in (library, base))
    print(f"largest difference of two logits: {apart:.0e} to peft, {moved:.0f} to the base; {type(library)}")

# %% [markdown] tags=["experiment"]
# ## One base, three tasks
#
# Three adapters, each for one task, and a fourth for all three, with twice the steps. Each is asked for each task on
# the held-out clauses, with the task's name in the prompt. What will the translator do when it is asked for the number?

# %% tags=["experiment"]
lesson.predict("wrong task", ..., "The adapter for translation is asked for the number: exact match, from 0 to 1?")

# %% tags=["experiment"]
blocks = {name: lesson.mine(part) for name, part in (("render", render), ("greedy_matches", greedy_matches))}
blocks["finetune"] = lesson.mine(finetune)
tuned = experiment.adapters(**blocks, profile=lesson.profile, seed=0)
print(f"{tuned.trained} trained parameters for each adapter; exact match\n")
print(f"{'':12}" + "".join(f"{task:>12}" for task in tuned.tasks))
for name, row in tuned.table.items():
    print(f"{name:12}" + "".join(f"{value:12.1%}" for value in row))
lesson.found("wrong task", tuned.table["translate"][0], within=0.05)
