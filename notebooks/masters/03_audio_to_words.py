# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 03 · From audio to words
#
# **Claim.** Audio vectors in the place of placeholder tokens are all that the decoder gets. From there on it is a
# language model like any other. You will put its input together by hand, decode by hand, and find the same weights
# saying the same thing in the transformers library.
#
# After this lesson you can say what the projector does, why placeholders are repeated *before* the model runs, what
# the KV cache keeps, and why a wrong merge can go unnoticed.
#
# **You need** lesson 00 and a little PyTorch indexing. **Time** 20 minutes; `03.cache_bytes` can wait for home. The
# cells themselves run in seconds, a good part of which is the import of transformers.
#
# Try other clips: change the two names below. `owl_then_drill.wav` with "Which sound comes first?" is a good one.

# %%
import statistics

import torch

from q2a_core import AudioChat, lengths, load_waveform, paths, presets
from q2a_core.audio.mel import log_mel, stack_mels
from q2a_core.inspection.by_hand import decode_by_hand
from q2a_core.teaching.checks import check
from q2a_core.text import user_message

clip_name, question = "cat_and_digits.wav", "What does the person say?"

torch.set_grad_enabled(False)
chat = AudioChat.from_pretrained("mini")
model, config = chat.model, chat.model.config
chat_format = chat.checkpoint.chat_format
tokenizer, placeholder = chat_format.tokenizer, config.audio_token_id
stop_ids = chat.checkpoint.generation_config["eos_token_id"]
waveform = load_waveform(paths.data_samples() / "clips" / clip_name)
f"{waveform.name}, {waveform.seconds:.2f} s; checkpoint {chat.checkpoint.name} {chat.checkpoint.hash}"

# %% [markdown]
# ## The projector
#
# The encoder gives one vector per 40 ms, as wide as the *encoder*. One linear layer, without activation, makes it as
# wide as the *decoder*.
#
# **Predict:** which share of the model's parameters is this bridge: a half, a tenth, less than a hundredth?

# %%
mel = stack_mels([log_mel(waveform.samples, num_mels=config.encoder.num_mel_bins)])
mel_lengths = torch.tensor([lengths.mel_frames(len(waveform.samples))])
audio_tokens = model.audio_encoder(mel, mel_lengths)[:, : int(lengths.audio_tokens(mel_lengths))]
audio_embeds = model.projector(audio_tokens)[0]
print("audio tokens ", tuple(audio_tokens.shape))
print("audio embeds ", tuple(audio_embeds.shape))
total = sum(p.numel() for p in model.parameters())
for name, part in (
    ("encoder", model.audio_encoder),
    ("projector", model.projector),
    ("decoder", model.decoder),
):
    count = sum(p.numel() for p in part.parameters())
    print(f"{name:10} {count:9,} parameters, {count / total:6.1%}")

# %% [markdown]
# Are these vectors words in disguise? **Predict:** how near does each come to the nearest word vector, if 1 is the same
# direction? The baseline is how near a *word* comes to its nearest other word.

# %%
words = model.decoder.embed_tokens.weight
unit = torch.nn.functional.normalize
near_audio = (unit(audio_embeds, dim=-1) @ unit(words, dim=-1).T).max(-1)
between_words = unit(words, dim=-1) @ unit(words, dim=-1).T
between_words.fill_diagonal_(-1)
print(f"nearest word to an audio vector: cosine {near_audio.values.mean():.2f}")
print(f"nearest word to a word:          cosine {between_words.max(-1).values.mean():.2f}")
print(
    f"mean length: audio vectors {audio_embeds.norm(dim=-1).mean():.1f}, word vectors {words.norm(dim=-1).mean():.1f}"
)

# %% [markdown]
# Look at the lengths too. The decoder norms its input in every block, so long vectors do no harm; remember them
# for the merge.
#
# ## The chat template
#
# The template turns a dialogue into text. The clip is one placeholder, `<|AUDIO|>`, between two marks.

# %%
prompt_text = chat_format.render([user_message(question, clips=1)])
short_ids = tokenizer.encode(prompt_text)
print(prompt_text)
print("|".join(tokenizer.piece(token) for token in short_ids))

# %% [markdown]
# The placeholder has to become as many as the clip has audio tokens, before the model runs: then the length of the
# sequence, the labels and the cache are known, and the model never has to cut a sequence open.


# %% exercise="03.expand"
def expand(ids, placeholder, counts):
    """A new list in which the k-th placeholder of `ids` stands counts[k] times."""
    # SOLUTION
    expanded, clip = [], 0
    for token in ids:
        if token == placeholder:
            expanded += [placeholder] * counts[clip]
            clip += 1
        else:
            expanded.append(token)
    return expanded
    # STUB
    # return None  # a list of ids
    # END


check("03.expand", expand)

# %%
ids = chat_format.prompt_ids([user_message(question, clips=1)], [len(audio_embeds)])
input_ids = torch.tensor([ids])
is_placeholder = input_ids[0] == placeholder
print(f"{len(short_ids)} ids became {len(ids)}; the run begins at {ids.index(placeholder)}")

# %% [markdown]
# ## The merge
#
# This is the one truly multimodal line of the model. `text_embeds` (T, D) holds a row for every id, the placeholders'
# own rows included; these are overwritten.


# %% exercise="03.merge"
def merge(text_embeds, audio_embeds, is_placeholder):
    """A new (T, D): rows where the boolean is_placeholder (T,) is true are those of audio_embeds (A, D), in order."""
    # SOLUTION
    merged = text_embeds.clone()
    merged[is_placeholder] = audio_embeds
    return merged
    # STUB
    # return None  # a tensor like text_embeds
    # END


check("03.merge", merge)

# %% [markdown]
# ## A forward pass by hand
#
# Everything that a Qwen2-Audio model does, in five lines. **Predict:** how far are these logits from the model's own:
# equal to the last bit, equal up to rounding, or roughly alike?

# %%
text_embeds = model.decoder.embed_tokens(input_ids)
inputs_embeds = text_embeds.clone()
inputs_embeds[0, is_placeholder] = audio_embeds
hidden_states = model.decoder(inputs_embeds, torch.arange(len(ids))[None])
by_hand = model.decoder.lm_head(hidden_states)

model_logits = model(input_ids, mel=mel, mel_lengths=mel_lengths).logits
difference = float((by_hand - model_logits).abs().max())
print(f"logits {tuple(by_hand.shape)}, largest difference {difference:.1e}")
assert difference < 1e-3

# %% [markdown]
# The last position's logits say what comes first in the reply.

# %%
best = by_hand[0, -1].softmax(-1).topk(5)
for probability, token in zip(best.values.tolist(), best.indices.tolist(), strict=True):
    print(f"{tokenizer.piece(token)!r:14} {probability:7.2%}")

# %% [markdown]
# ## Decoding
#
# Take the likeliest token, put it at the end, ask again, until a stop token comes. `next_logits(ids)` stands for the
# model: it takes the reply so far, a list of ids, and gives the logits (V,) of what comes next.


# %% exercise="03.greedy"
def greedy(next_logits, stop_ids, max_new_tokens):
    """The reply as a list of ids, without the stop token; at most max_new_tokens of them."""
    # SOLUTION
    reply = []
    while len(reply) < max_new_tokens:
        token = int(next_logits(reply).argmax())
        if token in stop_ids:
            break
        reply.append(token)
    return reply
    # STUB
    # return None  # a list of ids
    # END


check("03.greedy", greedy)

# %% [markdown]
# Each new token changes nothing at the positions before it: attention looks back only. So their keys and values can be
# kept. **Predict:** with this KV cache, how many positions does the decoder run in the second step, and how many
# without it? Are the tokens the same?

# %%
options = {"stop_ids": stop_ids, "max_new_tokens": 32}
cached = decode_by_hand(model, inputs_embeds, **options)
again = decode_by_hand(model, inputs_embeds, cached=False, **options)
print(tokenizer.decode(cached.token_ids))
for name, run in (("with the cache", cached), ("without", again)):
    later = statistics.median(run.seconds[1:]) * 1000 if len(run.seconds) > 1 else float("nan")
    print(f"{name:15} positions run: {run.positions}; a later step {later:.1f} ms")
print("the same tokens:", cached.token_ids == again.token_ids)
print(f"largest difference of logits: {float((cached.logits - again.logits).abs().max()):.1e}")
print("AudioChat says the same:", chat.fork().ask(waveform, question).token_ids == cached.token_ids)

# %% [markdown]
# ## Negative controls
#
# What if the merge is wrong? The rows one position off; the clip backwards; its rows shuffled; nothing written over the
# placeholders; silence of the same length; no clip at all.
#
# **Predict** which of these you would notice from the reply.

# %%
late, backwards, shuffled = text_embeds.clone(), text_embeds.clone(), text_embeds.clone()
late[0, is_placeholder.roll(1)] = audio_embeds
backwards[0, is_placeholder] = audio_embeds.flip(0)
order = torch.randperm(len(audio_embeds), generator=torch.Generator().manual_seed(0))
shuffled[0, is_placeholder] = audio_embeds[order]
silence = chat.prompt(torch.zeros(len(waveform.samples)), question, sample_rate=lengths.SAMPLE_RATE)
silent = text_embeds.clone()
silent[0, is_placeholder] = silence.audio_embeds[0]
controls = {
    "right": inputs_embeds,
    "one position late": late,
    "backwards": backwards,
    "shuffled": shuffled,
    "not written": text_embeds,
    "silence": silent,
    "no clip": model.decoder.embed_tokens(
        torch.tensor([chat.prompt(text=question or "What do you hear?").ids])
    ),
}
for name, embeds in controls.items():
    run = decode_by_hand(model, embeds, **options)
    off = float((run.logits[0] - cached.logits[0]).abs().max())
    print(f"{name:18} first logits off by {off:6.2f}: {tokenizer.decode(run.token_ids)}")

# %% [markdown]
# Did any reply survive its wrong merge? Compare its second column with the rounding error above: a reply may stay as
# it was where the logits do not. That is why this project compares logits with transformers and not replies alone. And
# order matters: the same vectors backwards are another clip.
#
# ## Choosing otherwise
#
# Greedy takes the top. Sampling divides the logits by a temperature and draws. Baseline: temperature 0 is greedy.
# A model that is sure of a word keeps to it until the temperature is high: at 3, a lead of six nats is one of two.

# %%
for temperature in (0.0, 1.5, 3.0):
    replies = [
        chat.fork().ask(waveform, question, temperature=temperature, seed=seed).text
        for seed in range(3)
    ]
    print(f"temperature {temperature}: {replies}")

# %% [markdown]
# ## What the cache costs
#
# For each position the cache keeps a key and a value in every layer and every key-value head. Several query heads may
# share one of these: that is grouped-query attention, and the cache is why it was invented.


# %% exercise="03.cache_bytes"
def cache_bytes(config, positions, itemsize):
    """Bytes of keys and values of a decoder with `config`, if a number takes itemsize bytes."""
    # SOLUTION
    per_position = 2 * config.num_layers * config.num_kv_heads * config.head_dim
    return per_position * positions * itemsize
    # STUB
    # return None  # a number
    # END


check("03.cache_bytes", cache_bytes)

# %%
real = presets.qwen2_audio_7b()
for seconds in (waveform.seconds, 10, 30):
    positions = lengths.tokens_of_samples(round(seconds * lengths.SAMPLE_RATE))
    own = config.decoder.kv_bytes(positions, itemsize=4) / 1e6
    theirs = real.decoder.kv_bytes(positions, itemsize=2) / 1e6
    print(
        f"{seconds:5.1f} s of sound, {positions:4} positions: mini {own:6.2f} MB (fp32), "
        f"Qwen2-Audio-7B {theirs:7.1f} MB (bf16)"
    )

# %% [markdown]
# ## The same weights in transformers
#
# A checkpoint of this project is a Qwen2-Audio checkpoint for the transformers library as well. That library pads every
# clip to 30 seconds and has its own processor and its own decoding loop. **Predict:** the same text?

# %%
from transformers import AutoProcessor, Qwen2AudioForConditionalGeneration  # noqa: E402
from transformers.utils import logging  # noqa: E402

logging.disable_progress_bar()
directory = chat.checkpoint.directory
other = Qwen2AudioForConditionalGeneration.from_pretrained(directory, local_files_only=True).eval()
processor = AutoProcessor.from_pretrained(directory, local_files_only=True)
text = processor.apply_chat_template(
    [user_message(question, clips=1)], add_generation_prompt=True, tokenize=False
)
inputs = processor(
    text=text, audio=[waveform.samples], sampling_rate=lengths.SAMPLE_RATE, return_tensors="pt"
)
their_logits = other(**inputs).logits
their_ids = other.generate(**inputs, do_sample=False, max_new_tokens=32)[0, len(ids) :].tolist()
print("the same prompt ids:", inputs["input_ids"][0].tolist() == ids)
print(f"largest difference of logits: {float((their_logits - by_hand).abs().max()):.1e}")
print("transformers:", tokenizer.decode(their_ids))
print("by hand:     ", tokenizer.decode(cached.token_ids))
assert tokenizer.decode(their_ids) == tokenizer.decode(cached.token_ids)

# %% [markdown]
# **Limits.** In a model this small the cache saves milliseconds; in the 7B it is the difference between reading a
# whole prompt for each token and reading one. Sampled replies depend on the seed and on the library's random numbers;
# greedy ones may differ between machines where two logits are nearly equal. Where a reply survives a wrong merge,
# that says how robust this checkpoint is, not that the mistake is harmless.
#
# **Where in the source:** `model/projector.py`, `text/chat.py`, `model/merge.py`, `model/decoder.py`,
# `model/kv_cache.py`, `inference/generate.py`, `inference/sampling.py`, `inspection/by_hand.py`. **Where in the
# paper:** section 2, equation 1 and Figure 2; it does not describe the projector, which is known from the published
# code.
