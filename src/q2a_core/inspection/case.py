"""One clip, one question and one reply with what the model held on the way: the thing that pages and lessons look into.

`open_case` asks as AudioChat asks, then walks the same tokens once more and keeps what entered each block. A case is
only read: maps and edits are computed from it, by any number of threads.
"""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from q2a_core import lengths
from q2a_core.audio import load_waveform
from q2a_core.audio.mel import log_mel, stack_mels
from q2a_core.errors import ChatError
from q2a_core.inference import AudioChat, GenerationSettings, Reply
from q2a_core.inspection.walk import decode_from, decoder_states, encode_from, encoder_states
from q2a_core.inspection.words import Word, group_words
from q2a_core.model import Qwen2Audio
from q2a_core.text import Tokenizer


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Case:
    """A clip, a question and a reply, with the states of all layers."""

    model: Qwen2Audio
    tokenizer: Tokenizer
    reply: Reply
    """What the model answered, greedily."""
    prompt_ids: Tensor  # (1, P), placeholders expanded
    first_audio: int
    """Place of the clip's first placeholder."""
    num_tokens: int
    """A, the clip's audio tokens of 40 ms."""
    reply_ids: tuple[int, ...]
    """R tokens that are looked at: the reply's, and the one that ended it; `with_reply` sets others."""
    encoder_states: list[Tensor]  # (1, E, C), what enters each block and what leaves the last
    decoder_states: list[Tensor]  # (1, P + R - 1, D), the reply's last token is not read by anyone
    logps: Tensor  # (R,) natural log-probability of each reply token

    @property
    def settings(self) -> GenerationSettings:
        return self.reply.settings

    @property
    def words(self) -> list[Word]:
        """The reply in words; each is a run of reply tokens."""
        return group_words(self.tokenizer, self.reply_ids, self.settings.stop_ids)

    def with_reply(self, reply_ids: tuple[int, ...]) -> "Case":
        """The same clip and question with other reply tokens, such as another clip's; raises ChatError if empty."""
        return _complete(self, reply_ids)


@torch.inference_mode()
def open_case(
    chat: AudioChat,
    audio: Any,
    text: str | None = None,
    *,
    sample_rate: int | None = None,
    max_new_tokens: int | None = None,
) -> Case:
    """Let `chat`'s checkpoint answer one clip in a new dialogue, greedily, and keep its states.

    Raises AudioError and ChatError as `AudioChat.stream` does; `chat`'s own dialogue is left alone.
    """
    waveform = load_waveform(audio, sample_rate=sample_rate) if not _is_read(audio) else audio
    dialogue = chat.fork()
    reply = dialogue.ask(waveform, text, temperature=0.0, max_new_tokens=max_new_tokens)
    model, encoder = chat.model, chat.model.config.encoder
    weight = model.audio_encoder.conv1.weight
    frames = lengths.mel_frames(len(waveform.samples))
    mel = stack_mels(
        [
            log_mel(
                waveform.samples, num_mels=encoder.num_mel_bins, max_frames=encoder.max_mel_frames
            )
        ]
    ).to(weight.device, weight.dtype)
    states = encoder_states(model, mel, torch.tensor([frames]))
    count = lengths.audio_tokens(frames)
    prompt = chat.checkpoint.chat_format.prompt_ids(dialogue.messages[:-1], [count])
    case = Case(
        model=model,
        tokenizer=chat.checkpoint.chat_format.tokenizer,
        reply=reply,
        prompt_ids=torch.tensor([prompt], device=weight.device),
        first_audio=prompt.index(model.config.audio_token_id),
        num_tokens=count,
        reply_ids=(),
        encoder_states=states,
        decoder_states=[],
        logps=torch.zeros(0),
    )
    if len(reply.token_ids) < reply.settings.max_new_tokens and reply.settings.stop_ids:
        return _complete(case, (*reply.token_ids, _stop_token(case, reply)))
    return _complete(case, tuple(reply.token_ids))


@torch.inference_mode()
def _complete(case: Case, reply_ids: tuple[int, ...]) -> Case:
    """The case with these reply tokens and the states that go with them."""
    if not reply_ids:
        raise ChatError("the reply is empty; expected at least one token to look at")
    embeds = encode_from(case.model, case.encoder_states[-1], layer=len(case.encoder_states) - 1)
    read = torch.tensor([reply_ids[:-1]], device=case.prompt_ids.device, dtype=torch.long)
    states = decoder_states(case.model, torch.cat([case.prompt_ids, read], dim=1), embeds[0])
    logits = decode_from(case.model, states[-1], layer=len(states) - 1, last=len(reply_ids))
    return replace(
        case, reply_ids=reply_ids, decoder_states=states, logps=token_logps(logits, reply_ids)[0]
    )


def token_logps(logits: Tensor, reply_ids: tuple[int, ...]) -> Tensor:
    """Log-probabilities (B, R) of the reply tokens under logits (B, R, V)."""
    ids = torch.tensor(reply_ids, device=logits.device).expand(len(logits), -1)
    return logits.float().log_softmax(-1).gather(-1, ids[..., None]).squeeze(-1)


def _stop_token(case: Case, reply: Reply) -> int:
    """The likeliest of the tokens that may end a reply, after this one; which of them ended it is not kept."""
    known = [
        token for token in reply.settings.stop_ids if token < case.model.config.decoder.vocab_size
    ]
    whole = _complete(case, (*reply.token_ids, known[0]))
    logits = decode_from(
        case.model, whole.decoder_states[-1], layer=len(whole.decoder_states) - 1, last=1
    )
    return max(known, key=lambda token: float(logits[0, -1, token]))


def _is_read(audio: Any) -> bool:
    return hasattr(audio, "samples")
