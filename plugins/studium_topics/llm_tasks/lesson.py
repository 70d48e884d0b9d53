# %% [markdown]
# # LLM tasks: from fine-tuning to applications
#
# Two colleagues fine-tune the same model on the same conversations, with the same optimiser and the same steps. Both
# losses fall. One model answers nearly every question. The other answers **none**. Their programs differ in one index,
# by one: in the row of booleans that says which tokens the loss sees.
#
# This lesson is about that row. A language model does one thing: it writes one token after another. Classification,
# translation and chat are all a tape of tokens; they differ in which tokens are lit. A *lit* token is one that the loss
# sees, so the model is trained to write it; a *dark* one is only read. **Choose a task below, then change what the loss
# sees.**

# %% tags=["widget"]
from studium_topics.llm_tasks.bench import FormatBench

FormatBench.tasks()

# %% [markdown]
# In this lesson you will
#
# 1. **turn** a conversation into tokens, and say which of them are lit;
# 2. **find** the mistake that trains on the prompt, and measure what it costs;
# 3. **pack** conversations into full rows so that none of them influences another;
# 4. **fine-tune** one tiny base model to three tasks with LoRA, and then to all three at once;
# 5. **compare** three places for the knowledge that a task needs: the weights, the context, and an index.
#
# You need [LoRA](lora.ipynb) and cross-entropy. Time: 18 minutes of reading, 117 of coding, 2 of running.
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
# | $p(w_t \mid w_{<t})$ | the model's probability for token $t$, given those before it |
# | $r$ | rank of a LoRA update |

# %%
import torch

from studium_topics.llm_tasks import experiment, figures, tape, tuning
from studium_topics.llm_tasks.library import library_tokenizer, peft_model
from studium_topics.llm_tasks.model import adapt, base_model
from studium_topics.llm_tasks.tape import NUMBERS
from studium_widgets import Diagram

# %% [markdown]
# ## A task is a labelling of the tape
#
# Our language is small: clauses such as *these small dogs sleep .*, and **Mirror**, in which every word is spelled
# backwards and the adjective follows the noun. Here are eight tasks, most of them for the same clause. The loss sees
# the answer, and one more lit token after it, `[END]`. The last column names the usual metric;
# [llm-evaluation-metrics](llm-evaluation-metrics.ipynb) explains those that this lesson does not.
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
# A text model can give a decision in three ways, and you will meet all of them in practice. A *head* is a new matrix on
# top of the last vector, with one row for each class; it cannot give any other answer. A *verbaliser* compares the
# probabilities of a few fixed answers. *Generation* writes the answer token by token, and fits every row of the table.
# This lesson generates.
#
# ## The template
#
# A <dfn>chat template</dfn> turns a list of messages into one line of tokens, with special tokens that mark the speaker
# and the end of a message. Special tokens are ordinary rows of the embedding table. What makes them special is that no
# user can type them: `[END]` in a user's text has to be read as letters and brackets. Otherwise users could end their
# own message and write the assistant's. (No text of this lesson contains brackets, so your function need not check.)
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
# one. Ids and mask must be shifted *together*. Otherwise the first token of an answer goes dark, and the token after
# the answer is lit: the header of the next user. The loss falls as before, since headers are easy. What will this model
# write?
#
# A second mistake is harder to notice. A mean over *all* tokens, dark ones included, is the right loss times the share
# of lit tokens. So a batch of long prompts has a smaller gradient than a batch of short ones, for no reason.

# %% exercise="answer_loss"
from studium_topics.llm_tasks.exercises import answer_loss

# %% [markdown]
# **To think about.** Is it a mistake to light the *whole* text, prompt and answer?
#
# <details><summary>Answer</summary>
#
# It is another goal: $\log p(x, y) = \log p(x) + \log p(y \mid x)$. The second term is ours. The first one trains the
# model to write questions. Its gradient is not wrong, but it serves another goal, and it can be much larger than that
# of the answer: a clause is drawn at random from 1782, so it has $\ln 1782 = 7.5$ nats of loss that no training
# removes. You will measure the effect.
# </details>
#
# ## Is the answer right?
#
# The loss is an average over tokens, but a user reads whole answers. The <dfn>exact match</dfn> of a model is the share
# of prompts for which its answer is right to the last token. The obvious way to measure it is to decode token by token.
# For greedy decoding there is a shortcut: one pass over the right text. Find out why it is enough.

# %% exercise="greedy_matches"
from studium_topics.llm_tasks.exercises import greedy_matches

# %% [markdown]
# ## Many conversations, one rectangle
#
# Conversations differ in length, but a batch is a rectangle. Padding fills it up with tokens that are computed and
# thrown away. <dfn>Packing</dfn> puts several examples one after another into a row ([Krell et al.
# 2021](https://arxiv.org/abs/2107.02027)). An example in a packed row must get exactly the logits that it gets alone,
# so its neighbours must not influence it in any of three places:
#
# * **attention**: a token may look at its own example alone, which needs a mask of blocks;
# * **positions**: they start at 0 in each example (our model adds a learned vector for each position; with rotary
#   positions only differences count, and the blocks alone suffice);
# * **the loss**: the last token of one example must not be trained to predict the first token of the next.

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
# **In practice** this is `DataCollatorWithFlattening` of transformers. It passes the positions on, and an attention
# kernel finds the borders of the examples where the positions start again at 0.
#
# ## The loop
#
# You have every part of supervised fine-tuning. The base is a decoder with two layers of width 64. It was pretrained on
# text of both languages, some of it with translations, and on special tokens around random words, but on no task.
# `adapt` gives each of its Linears a LoRA update, as you wrote it in [LoRA](lora.ipynb). Write the loop.

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

# %% [markdown] tags=["experiment"]
# Each adapter does its own task and nothing else, whatever the prompt asks for: in its training the first word never
# mattered, so it learned to ignore it. The fourth adapter has seen three first words with three meanings, and reads it.
#
# What if the prompt does *not* name the task? One prompt has one greedy answer, and the three tasks want three
# different ones. So over the three tasks the exact match is at most 1/3, for every model. No weights can lift this
# bound; the context has to tell the model which task is meant.
#
# ## Which tokens should the loss see?
#
# Back to the two colleagues, and a third one, who lights the whole text. Same base, same packed rows in the same order,
# same steps; only the lights differ. The exact match is measured every 40 steps, on all three tasks.

# %% tags=["experiment"]
lesson.predict("every token", ..., "Exact match at the end with every token lit, if the answers alone give nearly 1?")

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
# **One place late** is the colleague of the beginning. The first token of an answer was never trained, so no answer
# begins correctly, and the exact match is 0, although the loss on the tokens that it sees falls.
#
# **Every token** is the third colleague. Most of the lit tokens belong to prompts, and no training can predict the next
# random clause. In the figure, watch the plateau at 1/3, the value of a model that does one of the three tasks. The
# loss on the answers leaves it first.
#
# ## Examples in the context
#
# GPT-3 ([Brown et al. 2020](https://arxiv.org/abs/2005.14165)) made another way popular: no training, a few examples in
# the prompt. <dfn>In-context learning</dfn> is what a model does when examples in its prompt change its answer while
# its weights stay as they are. When can that work?
#
# Fine-tune the base on dialogues of three turns. Each keeps to *one* of the three tasks and never names it. In the
# first turn the bound of 1/3 holds. In the second, the first answer has shown which task it is. The test also has
# dialogues with a task that was in no training dialogue: to answer with the noun alone. What will its examples do?

# %% tags=["experiment"]
lesson.predict("new task", ..., "Exact match on the new task in the third turn, after two examples?")

# %% tags=["experiment"]
shown = experiment.in_context(**blocks, profile=lesson.profile, seed=0)
for name, curve in {**shown.by_turn, "noun (new)": shown.new_by_turn}.items():
    print(f"{name:12}" + "".join(f"   turn {turn}: {value:5.1%}" for turn, value in enumerate(curve, 1)))
print(f"{'noun':12}   after fine-tuning on it: {shown.new_tuned:5.1%}")
lesson.found("new task", shown.new_by_turn[-1], within=0.05)
figures.turns(shown)

# %% [markdown] tags=["experiment"]
# In the first turn the three exact matches add up to at most one, as they must: the model has to guess the task. One
# example is enough to lift them. This is not learning a task but *recognising* it, since all three are in the weights
# already. [Min et al. 2022](https://arxiv.org/abs/2202.12837) found that large models use examples with random labels
# nearly as well as right ones in classification, which points in the same direction. The new task shows the limit: its
# examples only select among the tasks that the model knows, and none of them is right. Fine-tuning on the new task
# works: 240 steps are enough.
#
# ## Look it up
#
# Training can put tasks into weights, and it can put facts there: *clever teachers wait*, *hungry foxes hide*, 99 of
# them. A model can learn them by heart. Or it learns to *read*, and gets the right fact with the question:
# <dfn>retrieval-augmented generation</dfn> puts documents that an index finds into the prompt of a model
# ([Lewis et al. 2020](https://arxiv.org/abs/2005.11401)).
#
# The index needs a measure of nearness. <dfn>Tf-idf</dfn> counts words and weights each by its rarity, an idea of
# [Spärck Jones 1972](https://doi.org/10.1108/eb026526): a word that is in $n$ of $N$ documents has the weight
# $\ln (N/n)$. A random document has the word with probability $n/N$, so this is the information, in nats, in learning
# that it does. If every document has the word, its weight is 0, because it does not tell documents apart.

# %% exercise="retrieve"
from studium_topics.llm_tasks.exercises import retrieve

# %% [markdown] tags=["experiment"]
# Now 33 of the 99 facts change. For the index that is an assignment in a list. For the model that knows the facts by
# heart it would be another training run.

# %% tags=["experiment"]
known = experiment.knowledge(**blocks, retrieve=lesson.mine(retrieve), profile=lesson.profile, seed=0)
print("exact match                  before   on 33 changed facts")
print(f"learned by heart             {known.memory:6.1%}   {known.memory_changed:6.1%}")
print(f"reads what the index finds   {known.retrieved:6.1%}   {known.retrieved_changed:6.1%}")
print(f"reads a document at random   {known.wrong_document:6.1%}")
index = [fact[:3] for fact in known.facts]
for asked in (["clever", "teachers", "?"], ["foxes", "?"]):
    found = lesson.mine(retrieve)(asked, index, 3)
    print(" ".join(asked), "→", "; ".join(" ".join(index[at]) for at in found))

# %% [markdown]
# The last row matters: a model that reads repeats what the document says, so with a wrong document its answer is wrong.
# Such a system cannot be better than its index.
#
# **To think about.** A customer's contracts change daily; the tone in which the assistant should answer does not. What
# belongs in the weights, what in the context, and what in the index?
#
# <details><summary>Answer</summary>
#
# The tone and the format are in every answer and never change: weights. The contracts change and are too many for a
# prompt: index. What this one user said a minute ago: context.
# </details>
#
# ## What does not reproduce at this size
#
# * **In-context learning of something new.** Our model recognises tasks that it was trained on. Large models also learn
#   mappings in the context that they have never seen; two layers and some hundred steps do not.
# * **Choosing among several documents.** Our reader gets one. Models of this size, trained from scratch for 800 to 1000
#   steps to answer from four facts, were right in 32 to 39 % of cases, little better than a guess among the four.
# * **Tasks that were never trained.** FLAN's 137 billion parameters, tuned on many tasks in words, beat GPT-3 without
#   examples on 20 of 25 data sets (abstract of [Wei et al.](https://arxiv.org/abs/2109.01652)). Our model with three
#   instructions understands three words.
# * **A harmless prompt loss.** Our prompts are random clauses, the worst case, and training is short. With real
#   instructions, [Shi et al. 2024](https://arxiv.org/abs/2405.14394) found that a loss on the prompt often helps, above
#   all with little data, or with long prompts and short answers.
# * **Long answers.** Exact match suits answers of five words. Whole texts need other metrics, each with its own blind
#   spot.
#
# ## Common misconceptions
#
# * *"A new task needs a new architecture."* It needs other lit tokens.
# * *"Padding costs nothing, it is masked."* It is computed like any other token, and thrown away.
# * *"Loss on the prompt costs nothing."* Its gradient shares the same few parameters and steps.
# * *"A low loss means right answers."* The loss is a mean over tokens; one wrong token makes a wrong answer.
# * *"Facts belong in the weights."* Fine-tuning can put them there, but each change needs another training run.
#
# ## You can now
#
# * write a task as a line of tokens and say which of them are lit;
# * find an off-by-one in a loss mask, and predict what it does to a model;
# * pack examples so that each has the logits that it would have alone, and test that;
# * fine-tune a model with LoRA from a list of conversations to an exact match;
# * decide whether a task's knowledge belongs in the weights, the context or an index, and measure it.
#
# ## Open tasks
#
# * **Ten minutes.** Ask the adapter for all three tasks with a word in front that it was not trained on, such as
#   `noun`. You should see that it answers all the same, in the format of one of its three tasks.
# * **An hour.** Train `finetune` on translation with 100, 400 and 1600 *different* clauses, repeated to the same number
#   of steps. You should see similar losses at the end and different exact matches on held-out clauses.
# * **A day.** Add a head: a Linear from the last vector to two classes, for *number*. Compare it with generation on 10,
#   30 and 100 examples. You should see that the head never answers anything but the two classes, and when that helps.
#
# ## Further reading
#
# * [Raffel et al. 2019, T5](https://arxiv.org/abs/1910.10683): section 2.4 writes every task as text.
# * [Ouyang et al. 2022, InstructGPT](https://arxiv.org/abs/2203.02155): supervised fine-tuning as the first of three
#   steps; preferences come after it.
# * [Zhou et al. 2023, LIMA](https://arxiv.org/abs/2305.11206): a thousand good conversations go a long way.
# * [Min et al. 2022](https://arxiv.org/abs/2202.12837): how much of in-context learning is recognising the task.
