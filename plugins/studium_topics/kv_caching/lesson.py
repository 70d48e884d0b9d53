# %% [markdown]
# # KV caching
#
# Ask a chat model for a thousand words. For the first word it reads your question. For the second it reads your
# question and the first word. For the thousandth it reads your question and the 999 words that it has just written,
# each of which it has read before, with the same weights and *with the same result*. **How much of this work is needed,
# and what does it cost to avoid the rest?**
#
# The small model below writes the same text in two ways. A row is one pass, a column one token. Step through it: the
# left lane computes all tokens again in each pass, whereas the right lane computes a single new one. Compare the two
# bars of work, and then the bar of memory. Then choose a mistake for the cache, and look for the first character that
# differs.

# %% tags=["widget"]
from studium_topics.kv_caching import figures

figures.opening()

# %% [markdown]
# **You will be able to**
#
# 1. write a cache, its mask, and attention that uses both, with **identical logits however a text is cut**;
# 2. write the decoding loop, and count what it saves **to the last operation**;
# 3. recognise four mistakes that raise no error, by what they do to a trained model;
# 4. hold a conversation in which each token is read once, also after an edit;
# 5. compute the memory of a cache, and say why decoding is limited by bandwidth.
#
# **You need** causal attention and rotary positions: the topic *decoder-only*. **Time:** 20 minutes of reading, 90 of
# coding, 1 of running, without the part called Further.
#
# **How it came about.** The first transformers were trained on whole texts, and their decoders were run in the same
# way, so that writing a text of $T$ tokens took work that grew with $T^2$. Keeping the keys and values of the past
# removed that work, and in 2019 [Shazeer](https://arxiv.org/abs/1911.02150) showed that it left decoding limited by
# memory traffic instead. [Pope et al.](https://arxiv.org/abs/2211.05102) worked out what this means on many chips, and
# [vLLM](https://arxiv.org/abs/2309.06180) how to share the memory among many users.
#
# | symbol | meaning |
# |---|---|
# | $p$, $s$ | position of a query, position of a key |
# | $q_p$, $k_s$, $v_s$ | query, key and value of one head, each with $d$ numbers |
# | $t$ | new tokens in one call |
# | $T$, $B$ | tokens in a text, texts in a batch |
# | $L$, $H$, $G$ | layers, heads of queries, heads of keys and values |
# | $D$, $F$, $V$, $W$ | width, width of the feed-forward network, vocabulary, parameters in all matrices |

# %%
import torch
import torch.nn.functional as F
from torch import nn

from studium_topics.kits import tales_lm, text
from studium_topics.kits.cache_race import CacheRace
from studium_topics.kits.tiny_lm import base_model
from studium_topics.kv_caching.conversation import conversation
from studium_topics.kv_caching.experiment import identity, ragged, read_through
from studium_topics.kv_caching.lanes import TwoLanes
from studium_topics.kv_caching.pages import paging
from studium_topics.kv_caching.prose import reading
from studium_widgets import AttentionHeatmap, Diagram, MemoryMeter, Roofline

# %% [markdown]
# ## What never changes
#
# In a decoder, position $p$ attends to positions $0 \dots p$ and to no others. So its key $k_p$ and its value $v_p$
# depend, in every layer, on the tokens $0 \dots p$ alone: in the first layer they are made from token $p$, and each
# further layer reads positions $0 \dots p$ of the layer before it. Whatever tokens follow, **these keys and values do
# not change**. This is exact. It follows from the causal mask and does not depend on training.
#
# To choose the next token, only the output at the newest position is needed (Vaswani et al. 2017, equation 1, for one
# query):
#
# $$\operatorname{out}_p = \sum_{s \le p} \frac{\exp(q_p \cdot k_s / \sqrt d)}{\sum_{r \le p} \exp(q_p \cdot k_r /
# \sqrt d)}\, v_s .$$
#
# This takes one query, the newest, and *all* keys and values. A <dfn>KV cache</dfn> keeps the keys and values of all
# earlier tokens, for each layer, so that only those of the newest token are computed.

# %% tags=["diagram"]
Diagram.from_package("studium_topics.kv_caching", "flow.svg")

# %% [markdown]
# **Think about it.** Why are queries not cached? And could BERT have a cache?
#
# <details><summary>Answer</summary>
#
# A query is used by its own token, once, in the pass that reads it; no later token needs it. BERT cannot have a cache:
# there position 3 attends to position 7, so a new token changes *every* key in every layer but the first. The cache is
# a consequence of the causal mask.
# </details>
#
# ## A place to write
#
# The obvious cache is `torch.cat([keys, new])`. It copies everything at every token, so the quadratic work is back as
# memory traffic. A <dfn>static cache</dfn> reserves its room once and is written in place. Its shape never changes,
# which is also what lets a compiler turn the whole step into one CUDA graph.
#
# There is a trap at its end. A slice beyond a tensor is silently shorter, and with eight places `cache[:, :, 8:9] =
# new` assigns one token *to nothing*, without an error.

# %% exercise="write_cache"
from studium_topics.kv_caching.exercises import write_cache

# %% [markdown]
# Removing the newest tokens costs nothing: count fewer of them, and let the next ones overwrite the rest. You will use
# that.
#
# ## The mask trap
#
# A long prompt is read in <dfn>chunks</dfn>, a limited number of tokens in each pass, so that no pass needs too much
# memory. Say that 5 tokens are in the cache and a chunk of 3 comes. The scores are a rectangle of 3 queries and 8 keys.
# Below is what one head of a small trained model sees of a text of 8 words, under the mask for the whole text ("her"
# looks back at the mouse). Which rows of the mask does the chunk need?

# %% tags=["widget"]
words, scores = tales_lm.word_scores("Ada the mouse lost her red key and")
AttentionHeatmap(tokens=words, scores=scores, mask="causal", layer=1, head=0)

# %% [markdown]
# PyTorch's `is_causal=True` does not give these rows: its triangle starts at the *top left* corner of the rectangle.
# For squares that is the same. For one query and eight keys it means that the newest token sees the *oldest* one alone.
# (Users [have reported this](https://github.com/pytorch/pytorch/issues/144858); it is the documented behaviour.) The
# [reference cache of ExecuTorch](https://github.com/pytorch/executorch/pull/21749) had this bug for prompts in chunks.
# A forgotten mask goes unnoticed, too, because with one new token no mask is the right mask, so the tests pass until a
# prompt is read in chunks.

# %% exercise="cached_mask"
from studium_topics.kv_caching.exercises import cached_mask

# %%
mask = lesson.mine(cached_mask)
for name, visible in (("is_causal=True", torch.ones(3, 8, dtype=torch.bool).tril()), ("yours", mask(3, 8))):
    print(f"{name}: the first of three new tokens sees {int(visible[0].sum())} of the 6 that it should see")

# %% [markdown]
# ## Attention with a cache
#
# Now write attention with both. Take care of the **positions**. A rotary key is rotated by its own position once, when
# it is written. The newest token is alone in its tensor, in row 0, and yet its position may be 412.

# %% exercise="cached_attention"
from studium_topics.kv_caching.exercises import cached_attention

# %% [markdown]
# ## The loop
#
# <dfn>Prefill</dfn> is the phase that reads the prompt, many tokens in each pass. <dfn>Decoding</dfn> is the phase that
# then feeds each new token alone, to choose the next. The last new token is never fed, because no token is to follow
# it.

# %% exercise="generate"
from studium_topics.kv_caching.exercises import generate

# %% [markdown] tags=["experiment"]
# In practice the cache is `DynamicCache` or `StaticCache` of the library transformers. The next cell runs *your* loop
# on the library's Llama with both, and compares what your attention leaves in its cache with what `DynamicCache` holds.

# %% tags=["experiment", "bridge"]
try:
    from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM, StaticCache
    from transformers.models.llama.modeling_llama import apply_rotary_pos_emb
except ImportError:
    print("transformers is not installed here, so there is nothing to compare with; the lesson goes on without it")
else:
    shape = {"vocab_size": 50, "hidden_size": 32, "num_hidden_layers": 2, "intermediate_size": 40}
    config = LlamaConfig(**shape, num_attention_heads=4, num_key_value_heads=4, eos_token_id=None)
    library = LlamaForCausalLM(config).eval().requires_grad_(False)
    prompt, new, found = torch.arange(10)[None], 12, {}
    caches = {"DynamicCache": DynamicCache(config=config), "StaticCache": StaticCache(config=config, max_cache_len=21)}
    for name, cache in caches.items():

        def step(ids, start, _, cache=cache):
            return library(ids, cache=cache).logits, cache

        found[name], _ = lesson.mine(generate)(step, prompt, new, chunk=4)
    expected = library.generate(prompt, max_new_tokens=new, do_sample=False, pad_token_id=0)[:, 10:]
    for name, tokens in found.items():
        print(f"your loop on transformers' {name}: {int((tokens != expected).sum())} of {new} tokens differ")

    def turn(z, start):
        cos, sin = library.model.rotary_emb(z, start + torch.arange(z.shape[2])[None])
        return apply_rotary_pos_emb(z, z, cos, sin)[0]

    layer, keys, values = library.model.layers[0], *torch.zeros(2, 1, 4, 21, 8)
    part = layer.self_attn
    x = layer.input_layernorm(library.model.embed_tokens(torch.cat([prompt, expected[:, :-1]], 1)))
    weights = (linear.weight for linear in (part.q_proj, part.k_proj, part.v_proj, part.o_proj))
    lesson.mine(cached_attention)(x, *weights, 4, turn, keys, values, 0)
    gap = (keys - caches["DynamicCache"].layers[0].keys).abs().max()
    print(f"keys of the first layer, yours and those of DynamicCache: differ by at most {gap:.1e}")

# %% [markdown]
# ## What it saves
#
# A model of 181,000 parameters writes a tale in both lanes below. Both get the same time, a few milliseconds in turn,
# and each counts its multiplications. **Let them race**, then double the number of characters: the gap more than
# doubles, because the lane without a cache reads a longer text for each further character.

# %% tags=["widget"]
CacheRace.trained(written=160, seed=4)

# %% [markdown]
# Count the work of writing $T$ tokens. A multiplication with its addition counts 2, and nothing but matrix products
# counts. In the matrices a token costs $2W$. In attention each pair of a query and a key, masked or not, takes one
# product of $D$ numbers for its score, over all heads together, and another one for its value: $4D$ in each layer.

# %% exercise="decode_flops"
from studium_topics.kv_caching.exercises import decode_flops

# %% tags=["experiment"]
lesson.predict("ratio of work", ..., "How many times more do the matrices work without a cache, for 128 tokens?")

# %% tags=["experiment"]
same = identity(
    lesson.mine(cached_attention), lesson.mine(generate), lesson.mine(decode_flops), profile=lesson.profile, seed=0
)
print(f"tokens that differ, in three ways of cutting the prompt: {same.differing}")
print(f"largest difference of a logit, in double precision:      {same.gap:.1e}\n")
for name, work in (("without a cache", same.without), ("with a cache", same.cached)):
    print(f"{name:16} {work.matrices:>13,} operations in matrices, {work.attention:>12,} in attention")
print(f"\nratio for T = {same.tokens}: {same.ratio} in the matrices, {same.attention_ratio:.3f} in attention")
print(f"your formula is off by {same.surprise} operations")
lesson.found("ratio of work", same.ratio)

# %% [markdown] tags=["experiment"]
# Without a cache, pass $n$ reads $n$ tokens, and $1 + 2 + \dots + T = T(T+1)/2$. With a cache each pass reads one: $T$.
# So the ratio in the matrices is exactly $(T+1)/2$. In attention it is $\sum n^2 / \sum n = (2T+1)/3$. PyTorch's own
# counter has counted the products of *your* functions; because nothing was timed, the figures are the same on every
# machine. (If you wrote your projections with `einsum`, the counter books some of them under attention.)

# %%
count = lesson.mine(decode_flops)
figures.growth(count, (32, 4096, 4096, 16512, 32000))  # Llama 2 7B; two matrices of 16512 are its three of 11008

# %% [markdown]
# On these axes both are straight lines, the upper one twice as steep: quadratic against linear, for the shape of Llama
# 2 7B. Beyond some 25 000 tokens both bend upwards, because attention then outweighs the matrices. The cache saves the
# *projections* of the past; the newest query still has to look at all of it.

# %% [markdown] tags=["experiment"]
# ## Break it
#
# Here is the whole training of a small model on Python's help pages. It knows nothing about caches.

# %% tags=["experiment"]
plan = reading(lesson.profile)
model = base_model(seed=0, **plan.sizes).to(lesson.profile.device)
optimizer = torch.optim.AdamW(model.parameters(), lr=plan.rate, weight_decay=0.0)
schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, plan.rate, total_steps=plan.steps)
generator = torch.Generator().manual_seed(0)
for _ in range(plan.steps):
    batch = text.next_token_batch(plan.seen, plan.batch, plan.length, generator)
    ids, following = (part.to(lesson.profile.device) for part in batch)  # (B, T)
    loss = F.cross_entropy(model(ids).flatten(0, 1), following.flatten())
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    schedule.step()
print(f"loss of the last batch: {loss.item():.2f} nats a character")

# %% [markdown] tags=["experiment"]
# Now read held-out text through *your* cache, in chunks of 8, and then with one thing wrong at a time:
#
# * **positions start again**: each chunk claims to begin at position 0;
# * **mask at the top left**: `is_causal=True`, in a chunk;
# * **no mask in a chunk**: a token sees those that come after it;
# * **the last text left in**: the cache was not emptied.
#
# None of them raises an error. Which one hurts the least?

# %% tags=["experiment"]
lesson.predict("least harm", ..., "By how many nats a character does the most harmless of the four raise the loss?")

# %% tags=["experiment"]
broken = read_through(model, lesson.mine(cached_attention), lesson.mine(generate), profile=lesson.profile)
print(f"loss without a cache {broken.plain:.4f} nats a character, with one {broken.losses['nothing']:.4f}\n")
for name, written in broken.texts.items():
    print(f"{name:22} {written!r}")
lesson.found("least harm", min(broken.harm(name) for name in broken.losses if name != "nothing"), within=0.3)
figures.harms(broken)

# %% [markdown] tags=["experiment"]
# With a correct cache the loss is the same to four digits. (Laptop profile, seeds 0 to 4, in nats: positions that start
# again cost 0.95 to 1.16, the mask at the top left 1.22 to 1.30, a text left in 0.82 to 0.97, and no mask in a chunk,
# the least, from 0.49 to 0.66.)
#
# Look at the *text* written without a mask, though. The model may well write the same as without a mistake, because
# decoding feeds one token at a time and only the prompt was read wrongly. That is how this mistake survives: **text
# that looks fine is no test; compare logits.** And why does seeing *more* make the model worse? In training no position
# ever saw later tokens, so the model has not learned to use them.
#
# Here is your model in the widget of the beginning.

# %% tags=["experiment", "widget"]
TwoLanes.of(model, text.character_vocabulary().characters, "The statement is not ", new=32, written=14)

# %% [markdown]
# **Think about it.** Does a cache speed up training? And reading the prompt?
#
# <details><summary>Answer</summary>
#
# No. In training all positions of a text are known and computed side by side, so nothing is computed twice. The same
# holds for the first reading of a prompt: prefill fills the cache and does not profit from it. Only if the *same*
# beginning comes again can its keys and values be reused. That is the next exercise.
# </details>
#
# ## A conversation
#
# A chat program sends the whole conversation with each turn. Most of it is in the cache already, unless the user has
# edited an earlier message. Then the keys and values of all tokens after the edit depend on the old message and are
# wrong, while those before it are still right. <dfn>Prefix caching</dfn> reuses the keys and values of the beginning
# that two texts share, so that only what follows has to be read.

# %% exercise="chat"
from studium_topics.kv_caching.exercises import chat

# %% tags=["experiment"]
talk = conversation(lesson.mine(cached_attention), lesson.mine(chat), profile=lesson.profile, seed=0)
print(f"{'turn':24}{'tokens so far':>14}{'read with memory':>18}{'read without':>14}")
for turn, tokens, fed, again in zip(talk.turns, talk.tokens, talk.fed, talk.again, strict=True):
    print(f"{turn:24}{tokens:>14}{fed:>18}{again:>14}")
print(f"\ntokens of the answers that differ: {talk.differing}; tokens read although the cache held them: {talk.wasted}")

# %% [markdown] tags=["experiment"]
# With a memory a turn costs its own length; without one it costs the length of the conversation. After an edit
# everything that follows it has to be read again. That is why the part that never changes, the instructions, is put at
# the very beginning.

# %% [markdown]
# ## What a cache costs
#
# A cache saves arithmetic and takes memory. How much?

# %% exercise="kv_bytes"
from studium_topics.kv_caching.exercises import kv_bytes

# %%
lesson.predict(
    "GB of a cache", ..., "How many GB is the cache of one text of 2048 tokens in GPT-3 175B, in half precision?"
)

# %%
cost = lesson.mine(kv_bytes)
known = {
    "TinyLlama 1.1B": (22, 2048, 32, 4),
    "Llama 2 7B": (32, 4096, 32, 32),
    "Llama 3 8B": (32, 4096, 32, 8),
    "Llama 2 13B": (40, 5120, 40, 40),
    "Llama 3 70B": (80, 8192, 64, 8),
    "GPT-3 175B": (96, 12288, 96, 96),
}
print("                a token    2048 tokens   of 64 texts")
for name, (layers, width, heads, kv_heads) in known.items():
    one, whole, batch = (cost(layers, width, heads, kv_heads, t, b, 2) for t, b in ((1, 1), (2048, 1), (2048, 64)))
    print(f"{name:15} {one / 2**10:5.0f} KiB    {whole / 1e9:6.2f} GB     {batch / 1e9:7.1f} GB")
lesson.found("GB of a cache", cost(96, 12288, 96, 96, 2048, 1, 2) / 1e9)

# %% [markdown]
# A *single token* of GPT-3 takes 4.5 MiB, as much as some 790,000 words of five letters with the spaces between them.
# Some 36 texts of full length weigh as much as the model, 350 GB. Llama 3 70B takes a fourteenth of that for a token,
# with 40 % of the parameters, because it has eight heads of keys and values for 64 of queries. (The topic *mqa-gqa* is
# about that.)
#
# Set the batch to 64. Then choose another number of KV heads, and another type for the cache.

# %% tags=["widget"]
MemoryMeter(model="gpt-3-175b", batch=16, context=2048, card="h100")

# %% [markdown]
# To decode one token for one text, every weight is fetched from memory and used for one multiplication; so is every key
# and every value. An H100 SXM does some 300 multiplications with their additions in the time in which it fetches two
# bytes (989 TFLOP/s in bfloat16, 3.35 TB/s), so decoding leaves it idle: it is limited by <dfn>bandwidth</dfn>, the
# number of bytes that arrive in a second.
#
# A larger batch helps with the weights, which are fetched once for all texts. It does not help with the cache, because
# each text has its own keys. Drag the batch to the right: decoding climbs towards the ridge. Then drag the context:
# attention over the cache stays at the left, whatever the batch.

# %% tags=["widget"]
Roofline(card="h100", model="llama-2-7b", batch=16, context=2048)

# %% [markdown]
# ## Further
#
# Two more parts of a real server. They are optional, and not counted in the minutes above.
#
# ### Many prompts at once
#
# Prompts are decoded in batches, but they are not equally long. Shorter ones are filled up with <dfn>pads</dfn> on the
# left, tokens without meaning, so that every row ends with its newest token. The pads have to be hidden. The first
# version of such a mask often looks like the one below.

# %% exercise="ragged_mask"
from studium_topics.kv_caching.exercises import ragged_mask

# %% tags=["experiment"]
together = ragged(
    lesson.mine(cached_attention), lesson.mine(generate), lesson.mine(ragged_mask), profile=lesson.profile, seed=0
)
print(f"tokens that differ from those of each prompt alone:   {together.differing:.0%}")
print(f"the same if the pads are not hidden:                  {together.unmasked:.0%}")

# %% [markdown] tags=["experiment"]
# Identical, token by token. With visible pads about half of the tokens or more differ (49 to 76 %, seeds 0 to 4).
#
# **Think about it.** A prompt with 5 pads has its first real token in column 5, and this token was rotated for position
# 5 instead of position 0. Why is the result the same? Would it be so in GPT-2?
#
# <details><summary>Answer</summary>
#
# Rotary scores depend on *differences* of positions, so a shift of the whole row changes nothing. GPT-2 adds a learned
# vector for each absolute position. There the positions of a row have to be counted from its first real token
# (`position_ids` in transformers).
# </details>

# %% [markdown]
# ### Pages
#
# How much room should be reserved for a text whose length is not known beforehand? In the systems that the authors of
# vLLM measured in 2023, **20.4 to 38.2 %** of the reserved cache held a token. The authors kept the cache in
# <dfn>pages</dfn> instead, pieces of, say, 16 tokens. When a text needs room it gets any free page, and a *page table*
# records which one. At most one page of each text is not full, and texts with the same beginning can share its pages.

# %% exercise="paged_gather"
from studium_topics.kv_caching.exercises import paged_gather

# %% tags=["experiment"]
lesson.predict(
    "share in pages", ..., "200 texts of 128 to 2048 tokens: what share of the slots in pages of 16 holds one?"
)

# %% tags=["experiment"]
kept = paging(lesson.mine(paged_gather), profile=lesson.profile, seed=0)
print(f"{len(kept.lengths)} texts of {min(kept.lengths)} to {max(kept.lengths)} tokens, {sum(kept.lengths):,} in all")
print(f"tokens misread: {kept.misread}")
print(f"if all begin with one prompt of 128 tokens, each slot serves {kept.shared:.2f} tokens")
lesson.found("share in pages", kept.paged)
figures.occupancy(kept)

# %% [markdown] tags=["experiment"]
# About a quarter against more than 98 %: four times as many texts fit on the same card. (The lengths are drawn from an
# exponential distribution, and the first figure is a property of that choice. The second is not: half a page is lost
# for each text, on average.) Figure 2 of the paper has 20.4 % for a server that keeps room for the longest text, called
# Orca (Max) there, and 96.3 % for pages.

# %% [markdown]
# ## What does not reproduce at this size
#
# * **Speed.** Here a cache saves operations. What a user of a large model notices is bandwidth, which a small model on
#   a CPU does not show.
# * **vLLM's throughput**, two to four times that of its predecessors. We counted slots; the rest depends on a
#   scheduler.
# * **How much a fault costs.** The figures are for this model and chunks of eight. In a large model with a long prompt
#   the same mistake can be small enough to be taken for bad luck.
#
# ## Common misconceptions
#
# * *"The cache is an approximation."* Keys and values of the past are the same numbers. What differs is rounding.
# * *"It speeds up training, or reading the prompt."* Only decoding, and beginnings that come again.
# * *"With a cache, a token costs the same however long the text."* The projections do. Attention still grows with it.
# * *"A larger batch is free."* For the weights it is; each text brings a cache of its own.
# * *"`is_causal=True` is the causal mask."* Only where there are as many queries as keys.
#
# ## You can now
#
# * decode with a cache and get the tokens that decoding without one gives, in any chunks;
# * count the work of decoding exactly: $(T+1)/2$ times less in the matrices;
# * name the four silent mistakes of caches, and test for them with logits;
# * hold a conversation that reads each token once, and say what an edit costs;
# * compute the size of a cache from the shape of a model.
#
# ## Open tasks
#
# * **Ten minutes.** Divide the work of Llama 2 7B without a cache by that with one, for texts of 100 to 100,000 tokens,
#   and divide the ratio by $T$. You should see it move from 1/2 towards 2/3. Why?
# * **An hour.** In a copy of your attention, store keys and values in 8, 4 and 2 bits, with one scale for each vector,
#   and read held-out text with the model above, one token at a time. You should see that 8 bits cost less than 0.001
#   nats a character, 4 bits about 0.01 and 2 bits about half a nat.
# * **A day.** Write continuous batching: a loop with room for four texts, which gives a place to the next prompt as
#   soon as a text has ended. You should see the same tokens as one text at a time, in fewer passes.
#
# ## Further reading
#
# * [Shazeer 2019](https://arxiv.org/abs/1911.02150): nine pages with the arithmetic of decoding. Then *mqa-gqa*.
# * [Pope et al. 2022](https://arxiv.org/abs/2211.05102): the same on many chips; read its section 2.
# * [Kwon et al. 2023](https://arxiv.org/abs/2309.06180): PagedAttention. Figure 3 shows where memory was lost.
# * The topic *speculative-decoding* takes tokens back from a cache, and needs what `write_cache` allows.
