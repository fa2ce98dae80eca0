"""AudioChat: a checkpoint, a dialogue, and answers. Notebooks, workbench, command line and evaluation all hold this."""

import time
from collections.abc import Generator
from dataclasses import replace
from functools import partial
from numbers import Integral
from pathlib import Path

import torch
from torch import Tensor

from q2a_core import lengths
from q2a_core.audio import Waveform
from q2a_core.checkpoint import Checkpoint, open_checkpoint
from q2a_core.errors import ChatError
from q2a_core.inference.batch import mel_batch
from q2a_core.inference.clips import Clip, read_clips
from q2a_core.inference.reply import Prompt, Reply
from q2a_core.inference.sampling import GenerationSettings, unsupported_settings
from q2a_core.inference.turn import Turn
from q2a_core.model import Qwen2Audio, graphs_of
from q2a_core.text import system_message, user_message
from q2a_core.text.chat import Message
from q2a_core.text.tokenizer import check_text


class AudioChat:
    """A dialogue with one checkpoint; `ask` and `stream` add a turn, `reset` starts anew, `fork` shares the weights."""

    def __init__(self, checkpoint: Checkpoint, model: Qwen2Audio, *, system: str | None = None):
        self.checkpoint = checkpoint
        self.model = model
        self.system = system
        self.last_reply: Reply | None = None
        self._begun = 0  # turns and resets so far: a turn that is not the newest one leaves the dialogue alone
        self.reset()

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path,
        *,
        device: str = "cpu",
        dtype: str | None = None,
        system: str | None = None,
    ) -> "AudioChat":
        """Open a shipped name, a directory or a hub id. Raises CheckpointError, BackendError or ChatError."""
        if system is not None:
            check_text(system, "system prompt")
        checkpoint = open_checkpoint(source)
        checkpoint.chat_format  # noqa: B018 - a broken tokenizer should fail before the weights are read
        return cls(checkpoint, checkpoint.load_model(device=device, dtype=dtype), system=system)

    def reset(self) -> None:
        """Forget the dialogue, a turn on its way included."""
        self._begun += 1
        self.messages: list[Message] = [] if self.system is None else [system_message(self.system)]
        self._audio_embeds: list[Tensor] = []  # one (A, D) per clip of the dialogue, encoded once

    def fork(self) -> "AudioChat":
        """A new, empty dialogue on the same weights."""
        return AudioChat(self.checkpoint, self.model, system=self.system)

    def ask(
        self, audio: Clip | list[Clip] | None = None, text: str | None = None, **options
    ) -> Reply:
        """Answer one turn; options as in `stream`."""
        pieces = self.stream(audio, text, **options)
        while True:
            try:
                next(pieces)
            except StopIteration as end:
                return end.value

    def stream(
        self,
        audio: Clip | list[Clip] | None = None,
        text: str | None = None,
        *,
        sample_rate: int | None = None,
        split: str | None = None,
        seed: int = 0,
        max_new_tokens: int | None = None,
        min_new_tokens: int | None = None,
        temperature: float | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
        repetition_penalty: float | None = None,
    ) -> Generator[str, None, Reply]:
        """Pieces of the answer as they are decoded; `last_reply` holds the whole afterwards.

        A clip alone (`text` None or blank) is voice chat, text alone a text turn. `sample_rate` goes with arrays.
        `split="window"` cuts clips longer than the model's window into several clips of this turn; otherwise they are
        refused. What is not given comes from the checkpoint's generation_config. Raises AudioError and ChatError before
        anything is decoded; the dialogue then stays as it was. So it does if another turn or a reset comes before this
        one has ended.
        """
        start, begun = time.perf_counter(), self._begun
        prompt = self.prompt(audio, text, sample_rate=sample_rate, split=split)
        settings = GenerationSettings.from_generation_config(
            self.checkpoint.generation_config,
            prompt_length=len(prompt.ids),
            max_new_tokens=max_new_tokens,
            min_new_tokens=min_new_tokens,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            repetition_penalty=repetition_penalty,
        )
        settings = self._fit_context(settings, len(prompt.ids))
        if not isinstance(seed, Integral) or not -(2**63) <= seed < 2**63:
            raise ChatError(f"seed is {seed!r}; expected a whole number of at most 63 bits")
        if begun == self._begun:  # what another thread began since is newer than this prompt
            begun = self._begun = begun + 1
        return Turn(
            checkpoint=self.checkpoint,
            model=self.model,
            prompt=prompt,
            settings=settings,
            seed=int(seed),
            start=start,
            on_end=partial(self._go_on, begun, prompt),
        ).run()

    def prompt(
        self,
        audio: Clip | list[Clip] | None = None,
        text: str | None = None,
        *,
        sample_rate: int | None = None,
        split: str | None = None,
    ) -> Prompt:
        """What `stream` gives the model for these arguments; the dialogue stays as it is."""
        if text is not None:
            check_text(text)
        window = self.model.config.encoder.max_samples
        waveforms = read_clips(audio, window=window, sample_rate=sample_rate, split=split)
        text = text if text and text.strip() else None
        if not waveforms and text is None:
            raise ChatError("neither a clip nor text was given; pass audio=..., text=..., or both")
        messages = [*self.messages, user_message(text, clips=len(waveforms))]
        audio_embeds = [*self._audio_embeds, *self._encode(waveforms)]
        ids = self.checkpoint.chat_format.prompt_ids(messages, [len(clip) for clip in audio_embeds])
        return Prompt(
            messages=messages,
            ids=ids,
            audio_embeds=audio_embeds,
            notices=(*self._notices(waveforms), *self._many_clips(len(audio_embeds))),
        )

    def _go_on(self, number: int, prompt: Prompt, reply: Reply) -> None:
        """Let the dialogue go on from the reply to turn `number`, unless another turn or a reset came since."""
        if number == self._begun:
            self.last_reply = reply
            self.messages = [*prompt.messages, {"role": "assistant", "content": reply.text}]
            self._audio_embeds = prompt.audio_embeds

    @torch.inference_mode()
    def _encode(self, waveforms: list[Waveform]) -> list[Tensor]:
        """Each clip's audio embeddings (A, D)."""
        if not waveforms:
            return []
        mel, mel_lengths = mel_batch(self.model, [clip.samples for clip in waveforms])
        graphs = graphs_of(self.model) if len(waveforms) == 1 else None
        encoder = self.model if graphs is None else graphs.prompt
        packed = encoder.encode_audio(mel, mel_lengths)
        return list(packed.split(lengths.audio_tokens(mel_lengths).tolist()))

    def _fit_context(self, settings: GenerationSettings, prompt_length: int) -> GenerationSettings:
        room = self.model.config.decoder.max_positions - prompt_length
        if room < 1:
            raise ChatError(
                f"the dialogue is {prompt_length} tokens long; the model holds "
                f"{self.model.config.decoder.max_positions}. Begin a new chat, or give shorter clips"
            )
        return replace(settings, max_new_tokens=min(settings.max_new_tokens, room))

    def clip_notices(self, waveforms: list[Waveform]) -> tuple[str, ...]:
        """What a user should know of one turn's clips, as `read_clips` fits them, whatever is asked about them."""
        notices = [notice for clip in waveforms for notice in clip.notices]
        trained = self.checkpoint.about.get("trained_seconds")
        longest = max((clip.seconds for clip in waveforms), default=0.0)
        if isinstance(trained, (int, float)) and longest > trained:
            notices.append(
                f"this checkpoint was trained on clips up to {trained:g} s; beyond that it guesses"
            )
        return tuple(dict.fromkeys(notices))

    def _notices(self, waveforms: list[Waveform]) -> tuple[str, ...]:
        notices = self.clip_notices(waveforms)
        if self.last_reply is None:  # nothing that changes from turn to turn
            notices = (*notices, *self.checkpoint.notices)
        ignored = unsupported_settings(self.checkpoint.generation_config)
        if ignored:
            told = f"the checkpoint asks for {', '.join(ignored)} when it decodes, which is not implemented; ignored"
            notices = (*notices, told)
        return notices

    def _many_clips(self, clips: int) -> tuple[str, ...]:
        """What to say of a dialogue with more clips than the checkpoint's training had in one."""
        trained = self.checkpoint.about.get("trained_clips")
        if not isinstance(trained, int) or clips <= trained:
            return ()
        most = "one clip" if trained == 1 else f"at most {trained} clips"
        return (f"this checkpoint was trained on {most} per dialogue; with more it guesses",)
