"""Is it listening? The same reply scored under the clip, and under sounds that cannot have caused it.

A reply that is as likely without the clip was not heard but guessed. Silence, noise, another clip and no clip at all
are four ways to be without it; the one that explains the reply best is what the clip has to beat.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from q2a_core.inspection.scoring import score_replies, token_pieces

if TYPE_CHECKING:
    from q2a_core.audio import Waveform
    from q2a_core.inference import AudioChat, Prompt

QUIETEST_NOISE = 0.01
"""RMS of the noise beside a clip that is quieter than that; a silent clip's own level would be silence again."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Heard:
    """A reply's tokens under one condition."""

    condition: str
    """clip, silence, noise, another clip, no audio."""
    logps: np.ndarray
    """(R,) in nats: the log-probability of each token."""

    @property
    def total(self) -> float:
        """Log-probability of the whole reply."""
        return float(self.logps.sum())

    @property
    def mean(self) -> float:
        """Nats a token; 0 for an empty reply."""
        return float(self.logps.mean()) if len(self.logps) else 0.0


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Listening:
    """One reply under every condition; the clip comes first."""

    pieces: tuple[str, ...]
    """The text that each token adds."""
    heard: tuple[Heard, ...]

    @property
    def rival(self) -> Heard:
        """The condition without the clip under which the reply is likeliest."""
        return max(self.heard[1:], key=lambda heard: heard.total)

    @property
    def gain(self) -> float:
        """Nats a token by which the clip makes the reply likelier than its best rival does; 0 or less is no sign of
        listening."""
        return self.heard[0].mean - self.rival.mean

    @property
    def token_gains(self) -> np.ndarray:
        """(R,) nats that the clip adds to each token over the best rival: where in the reply it is heard."""
        return self.heard[0].logps - self.rival.logps


def is_listening(
    chat: "AudioChat",
    audio: "Waveform",
    text: str | None,
    token_ids: Sequence[int],
    *,
    other: "Waveform | None",
    rng: np.random.Generator,
    split: bool = False,
    around: "Callable[[Waveform], Waveform] | None" = None,
) -> Listening:
    """Score the reply `token_ids` to `audio` with `text` (None is voice chat) as a first turn of `chat`'s checkpoint.

    `other` is another clip, left out if None; `rng` draws the noise, as loud and as long as the clip. Without a clip
    the prompt keeps its text, or an empty turn. `around` adds what is heard under every condition, such as a spoken
    question. Clips longer than the window are cut if `split`. Raises AudioError and ChatError.
    """
    fresh = chat.fork()
    sounds = {
        "clip": audio,
        "silence": replace(audio, samples=np.zeros_like(audio.samples), notices=()),
        "noise": replace(audio, samples=like_noise(audio.samples, rng), notices=()),
    }
    if other is not None:
        sounds["another clip"] = other
    names = list(sounds)
    prompts = [
        # only the clip itself may be too long for the window, and then it is refused as ever
        fresh.prompt(
            around(sound) if around else sound,
            text,
            split="window" if split or around or sound is not audio else None,
        )
        for sound in sounds.values()
    ]
    silent = _without_audio(fresh, text)
    if silent.ids:  # a base model has no template, and so nothing before the reply
        prompts.append(silent)
        names.append("no audio")
    scores = score_replies(chat.model, prompts, [list(token_ids)] * len(prompts))
    return Listening(
        pieces=tuple(token_pieces(chat.checkpoint.chat_format.tokenizer, token_ids)),
        heard=tuple(
            Heard(condition=name, logps=logps) for name, logps in zip(names, scores, strict=True)
        ),
    )


def like_noise(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """White noise (S,) of the samples' length and RMS level, at least QUIETEST_NOISE."""
    level = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) if len(samples) else 0.0
    noise = max(level, QUIETEST_NOISE) * rng.standard_normal(len(samples))
    return noise.clip(-1.0, 1.0).astype(np.float32)


def _without_audio(chat: "AudioChat", text: str | None) -> "Prompt":
    """The same turn without its clip."""
    from q2a_core.inference import Prompt
    from q2a_core.text import user_message

    messages = [*chat.messages, user_message(text if text and text.strip() else None)]
    ids = chat.checkpoint.chat_format.prompt_ids(messages, [])
    return Prompt(messages=messages, ids=ids, audio_embeds=[], notices=())
