"""One clip, four ways to ask: alone, with a written question, with a spoken one, and with both.

Qwen2-Audio has no switch between voice chat and audio analysis (arXiv 2407.10759, section 2): the same weights read the
mode off what they are given. So the same clip goes in four times and the replies are laid side by side.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from q2a_core import lengths
from q2a_core.audio import Waveform
from q2a_core.inspection.scoring import token_pieces
from q2a_core.world.wordings import PROMPTS

if TYPE_CHECKING:
    from q2a_core.inference import AudioChat, Reply

QUESTION_VOICES = {
    "a woman": "en-us+f2",
    "a man": "en-us+m2",
    "a British woman": "en-gb-x-rp+f4",
    "a British man": "en-gb-x-rp+victor",
}
"""Voices for the spoken question; training never heard them."""
SPOKEN_QUESTION = "what is this sound"
MIXED_TEXT = PROMPTS["answer_speech"].official
"""What is written where the question itself is spoken."""
GAP_SECONDS = 0.3
QUESTION_LEVEL = 0.08
"""RMS of the louder half of a question beside a clip that is quieter than QUIET."""
QUIET = 0.005
LOUDEST = 0.99


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ModeTurn:
    """What goes into the model in one mode."""

    name: str
    """voice chat, audio analysis, spoken question, mixed."""
    clip: Waveform
    text: str | None
    question: Waveform | None = None
    """What is asked aloud, heard together with the clip."""
    question_first: bool = False

    @property
    def waveform(self) -> Waveform:
        """What the model hears."""
        return self.around(self.clip)

    def around(self, sound: Waveform) -> Waveform:
        """Another sound in the place of the clip, the spoken question as it is."""
        if self.question is None:
            return sound
        return with_question(sound, self.question, question_first=self.question_first)

    @property
    def given(self) -> str:
        """What is given, in a few words."""
        if self.question is None:
            return "the clip alone" if self.text is None else "the clip and a written question"
        order = (
            "the question, then the clip" if self.question_first else "the clip, then the question"
        )
        return f"{order}, nothing written" if self.text is None else f"{order}, and a written line"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ModeReply:
    """What came out."""

    turn: ModeTurn
    reply: "Reply"
    pieces: tuple[str, ...]
    """The text that each token adds, beside `reply.logps`."""


def mode_turns(
    clip: Waveform,
    *,
    text: str,
    question: Waveform | None,
    mixed_text: str = MIXED_TEXT,
    question_first: bool = False,
) -> list[ModeTurn]:
    """The turns of all modes; without a `question` to hear, of those that need none."""
    turns = [
        ModeTurn(name="voice chat", clip=clip, text=None),
        ModeTurn(name="audio analysis", clip=clip, text=text),
    ]
    if question is not None:
        for name, written in (("spoken question", None), ("mixed", mixed_text)):
            turns.append(
                ModeTurn(
                    name=name,
                    clip=clip,
                    text=written,
                    question=question,
                    question_first=question_first,
                )
            )
    return turns


def answer_turn(chat: "AudioChat", turn: ModeTurn, *, split: bool = False) -> ModeReply:
    """The greedy reply to a turn as the first of a dialogue, with its tokens.

    `split` cuts a clip longer than the model's window, as in `AudioChat.stream`; one that holds a spoken question is
    cut without being asked, with a notice, since the question makes it longer. Raises AudioError and ChatError.
    """
    cut = "window" if split or turn.question is not None else None
    reply = chat.fork().ask(turn.waveform, turn.text, temperature=0.0, split=cut)
    pieces = token_pieces(chat.checkpoint.chat_format.tokenizer, reply.token_ids)
    return ModeReply(turn=turn, reply=reply, pieces=tuple(pieces))


def speak_question(words: str, *, voice: str = "a woman") -> Waveform:
    """A question spoken by the mini world's engine. Raises SpeechError where there is none, or nothing to say."""
    from q2a_core.errors import SpeechError
    from q2a_core.world.speech import speak

    words = " ".join(words.split())
    if not words:
        raise SpeechError("there are no words to say; write a question to be spoken")
    samples = speak(words, voice=QUESTION_VOICES.get(voice, voice))
    return Waveform(samples=samples, source_rate=lengths.SAMPLE_RATE, channels=1, name=f"“{words}”")


def with_question(clip: Waveform, question: Waveform, *, question_first: bool = False) -> Waveform:
    """The clip and the question one after the other, the question as loud as the clip, GAP_SECONDS between them."""
    wanted = loud_level(clip.samples)
    own = loud_level(question.samples)
    gain = (wanted if wanted > QUIET else QUESTION_LEVEL) / own if own > 0 else 1.0
    spoken = question.samples * np.float32(gain)
    gap = np.zeros(round(GAP_SECONDS * lengths.SAMPLE_RATE), dtype=np.float32)
    parts: Sequence[np.ndarray] = (clip.samples, gap, spoken)
    if question_first:
        parts = (spoken, gap, clip.samples)
    samples = np.concatenate(parts)
    peak = float(np.abs(samples).max(initial=0.0))
    if peak > LOUDEST:
        samples = samples * np.float32(LOUDEST / peak)
    notices = tuple(dict.fromkeys([*clip.notices, *question.notices]))
    return replace(clip, samples=samples, name=f"{clip.name} + {question.name}", notices=notices)


def loud_level(samples: np.ndarray) -> float:
    """RMS of the louder half of the samples (S,); pauses and tails do not count."""
    power = np.sort(np.square(samples, dtype=np.float64))[len(samples) // 2 :]
    return float(np.sqrt(power.mean())) if len(power) else 0.0
