"""AudioChat: a checkpoint, a dialogue, and answers. Notebooks, workbench, command line and evaluation all hold this."""

import time
from collections.abc import Generator
from dataclasses import dataclass, replace
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
from q2a_core.inference.generate import generate_steps
from q2a_core.inference.reply import Prompt, Reply, Timings
from q2a_core.inference.sampling import GenerationSettings, unsupported_settings
from q2a_core.model import Qwen2Audio, graphs_of
from q2a_core.text import StreamDecoder, system_message, user_message
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
        start = time.perf_counter()
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
        self._begun += 1
        return _Turn(self, self._begun, prompt, settings, int(seed), start).run()

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
            told = f"generation_config.json asks for {', '.join(ignored)}, which is not implemented; ignored"
            notices = (*notices, told)
        return notices

    def _many_clips(self, clips: int) -> tuple[str, ...]:
        """What to say of a dialogue with more clips than the checkpoint's training had in one."""
        trained = self.checkpoint.about.get("trained_clips")
        if not isinstance(trained, int) or clips <= trained:
            return ()
        most = "one clip" if trained == 1 else f"at most {trained} clips"
        return (f"this checkpoint was trained on {most} per dialogue; with more it guesses",)


@dataclass
class _Turn:
    """One turn while it is being answered."""

    chat: AudioChat
    number: int
    prompt: Prompt
    settings: GenerationSettings
    seed: int
    start: float

    def run(self) -> Generator[str, None, Reply]:
        """Decode, yield text, and add the turn to the dialogue, as far as it came if the caller stops listening.

        An error while decoding leaves the dialogue as it was, and so does a turn that is no longer the newest.
        """
        chat = self.chat
        generator = torch.Generator().manual_seed(self.seed)
        decoder = StreamDecoder(chat.checkpoint.chat_format.tokenizer)
        token_ids: list[int] = []
        logps: list[float] = []
        times: list[float] = []
        has_stopped = False
        steps = generate_steps(
            chat.model,
            torch.tensor([self.prompt.ids]),
            settings=self.settings,
            audio_embeds=torch.cat(self.prompt.audio_embeds) if self.prompt.audio_embeds else None,
            generator=generator,
        )
        try:
            for (token,), (logp,) in steps:
                times.append(time.perf_counter())
                if token in self.settings.stop_ids:
                    has_stopped = True
                    break
                token_ids.append(token)
                logps.append(logp)
                piece = decoder.push(token)
                if piece:
                    yield piece
            rest = decoder.finish()
            if rest:
                yield rest
        except (GeneratorExit, KeyboardInterrupt):
            self._finish(token_ids, logps, times)
            raise
        return self._finish(token_ids, logps, times, () if has_stopped else (self._cut_notice(),))

    def _cut_notice(self) -> str:
        """What to say of a reply that no stop token ended."""
        most, holds = self.settings.max_new_tokens, self.chat.model.config.decoder.max_positions
        cut = f"the reply was cut at {most:,} token{'s' if most > 1 else ''}"
        if len(self.prompt.ids) + most == holds:
            return f"{cut}: the dialogue fills the {holds:,} that the model holds; begin a new chat"
        return f"{cut}; a larger max_new_tokens lets it go on"

    def _finish(
        self,
        token_ids: list[int],
        logps: list[float],
        times: list[float],
        notices: tuple[str, ...] = (),
    ) -> Reply:
        """The reply with the prompt's notices and these; the dialogue goes on from it."""
        chat = self.chat
        text = chat.checkpoint.chat_format.tokenizer.decode(token_ids)
        first = times[0] - self.start if times else 0.0
        rate = (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 else 0.0
        reply = Reply(
            text=text,
            token_ids=token_ids,
            logps=logps,
            timings=Timings(time_to_first_token=first, tokens_per_second=rate),
            notices=(*self.prompt.notices, *notices),
            prompt=chat.checkpoint.chat_format.prompt_text(self.prompt.messages),
            settings=self.settings,
            seed=self.seed,
        )
        if self.number == chat._begun:
            chat.last_reply = reply
            chat.messages = [*self.prompt.messages, {"role": "assistant", "content": text}]
            chat._audio_embeds = self.prompt.audio_embeds
        return reply
