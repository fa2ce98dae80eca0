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
# # 00 · Start here
#
# **Claim.** A clip becomes 25 vectors a second, the vectors take the place of placeholder tokens in a text, and a
# language model answers. You will follow one clip all the way, in a few short cells.
#
# **You need** the package installed (`pip install -e .`); nothing is downloaded. **Time** about five minutes; the
# cells themselves run in a few seconds.
#
# The model here is `mini`: the architecture of Qwen2-Audio (arXiv 2407.10759) at about one three-thousandth of
# its size, trained by this repository on synthetic voices and sounds. It is no Qwen2-Audio, and its mistakes are
# worth watching.

# %%
# %matplotlib inline
import torch
from IPython.display import display

from q2a_core import AudioChat, lengths, load_waveform, paths
from q2a_core.audio.mel import log_mel
from q2a_core.inspection.figures.clip import figure_clip
from q2a_core.teaching.checks import check
from q2a_core.teaching.widgets import show_player
from q2a_core.teaching.widgets.recorder import record_clip

clip = paths.data_samples() / "clips" / "keyboard_question.wav"
waveform = load_waveform(clip)
f"{waveform.name}: {waveform.seconds:.2f} s, {waveform.samples.shape[0]} samples at {waveform.sample_rate} Hz"

# %% [markdown]
# Listen: somebody types, then a voice asks. No text goes with the clip; the question is *in* it. Waveform, log-mel and
# audio tokens lie on one time axis; click one to hear what it stands for.

# %%
show_player(waveform)

# %% [markdown]
# **Predict before you run.** 16,000 samples a second, a mel frame every 160 samples, the encoder halves that twice.
# How many audio tokens do `seconds` of sound give? One token more or less at the edges does not matter here.


# %% exercise="00.tokens"
def tokens_of(seconds):
    """Audio tokens that a clip of so many seconds becomes."""
    # SOLUTION
    return int(seconds * 16_000 / 160 / 2 / 2)
    # STUB
    # return None  # your guess as a formula
    # END


check("00.tokens", tokens_of)

# %% [markdown]
# The same by the package, which holds for every length: lesson 01 takes it apart.

# %%
samples = waveform.samples.shape[0]
mel_frames = lengths.mel_frames(samples)
encoder_frames = lengths.encoder_frames(mel_frames)
tokens = lengths.audio_tokens(mel_frames)
print(
    f"{samples} samples -> {mel_frames} mel frames -> {encoder_frames} encoder frames -> {tokens} audio tokens"
)

# %% [markdown]
# The log-mel picture is all that the model gets of the sound. Under it, one box is one 40 ms audio token.

# %%
mel = log_mel(waveform.samples)
figure_clip(waveform, mel, tokens, title="keyboard, then a question")

# %% [markdown]
# Now the model. `AudioChat` is the one object that the workbench, the command line and these lessons hold.

# %%
chat = AudioChat.from_pretrained("mini")
reply = chat.ask(audio=clip)
print(reply.text)
print(
    f"first token after {reply.timings.time_to_first_token * 1000:.0f} ms; checkpoint {chat.checkpoint.hash}"
)

# %% [markdown]
# What did it read? The chat template writes one placeholder for the clip; before the model runs, that placeholder is
# repeated once per audio token and the audio vectors are written over the run.

# %%
print(reply.prompt)
placeholder = chat.checkpoint.config.audio_token_id
prompt_ids = chat.checkpoint.chat_format.tokenizer.encode(reply.prompt)
print("placeholders before expansion:", prompt_ids.count(placeholder), "- after:", tokens)

# %% [markdown]
# The dialogue goes on in text, on the same clip; the clip is not encoded again.

# %%
print(chat.ask(text="What does the person say?").text)

# %% [markdown]
# **Negative control.** Does it listen, or does it always say the same? The same call with silence of the same length.

# %%
silence = torch.zeros(samples)
print(chat.fork().ask(audio=silence, sample_rate=lengths.SAMPLE_RATE).text)

# %% [markdown]
# How sure was it of each token? These are the model's own log-probabilities; near 0 is sure.

# %%
for token, logp in zip(reply.token_ids, reply.logps, strict=True):
    print(f"{chat.checkpoint.chat_format.tokenizer.piece(token)!r:16} {logp:8.3f}")

# %% [markdown]
# **Your own clip.** Say a word from the list at the end, or let something sound: press Record, then Stop, and run the
# cell after it. Where the browser gives no microphone, choose a file.

# %%
mine = record_clip()
display(mine)

# %%
if mine.waveform is None:
    print("nothing yet: record or choose a clip above, then run this cell again")
else:
    print(chat.fork().ask(audio=mine.waveform).text)

# %% [markdown]
# **Limits.** `mini` knows the words and sounds in the list below, in clips of up to about ten seconds. It was trained
# on synthetic voices: a real one is harder. `q2a workbench` has a microphone, too.
#
# **Where in the source:** `lengths.py`, `audio/mel.py`, `text/chat.py`, `model/qwen2_audio.py`,
# `inference/audio_chat.py`. **Where in the paper:** section 2, Figure 2.

# %%
about = chat.checkpoint.about
print("sounds:", ", ".join(about["sounds"]))
print("words:", ", ".join(about["words"]))
