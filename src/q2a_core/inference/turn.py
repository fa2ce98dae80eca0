"""One turn of a dialogue while it is answered: tokens become text, and the dialogue goes on from the reply."""

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass

import torch

from q2a_core.checkpoint import Checkpoint
from q2a_core.inference.generate import generate_steps
from q2a_core.inference.reply import Prompt, Reply, Timings
from q2a_core.inference.sampling import GenerationSettings
from q2a_core.model import Qwen2Audio
from q2a_core.text import StreamDecoder


@dataclass(frozen=True, kw_only=True, slots=True)
class Turn:
    """One turn while it is being answered."""

    checkpoint: Checkpoint
    model: Qwen2Audio
    prompt: Prompt
    settings: GenerationSettings
    seed: int
    start: float
    """When it was asked, by `time.perf_counter`."""
    on_end: Callable[[Reply], None]
    """Is given the reply, as far as it came."""

    def run(self) -> Generator[str, None, Reply]:
        """Decode and yield text; the reply is handed on as far as it came if the caller stops listening.

        After an error while decoding nothing is handed on.
        """
        generator = torch.Generator().manual_seed(self.seed)
        decoder = StreamDecoder(self.checkpoint.chat_format.tokenizer)
        token_ids: list[int] = []
        logps: list[float] = []
        times: list[float] = []
        has_stopped = False
        steps = generate_steps(
            self.model,
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
        most, holds = self.settings.max_new_tokens, self.model.config.decoder.max_positions
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
        """Hand on the reply, with the prompt's notices and these."""
        text = self.checkpoint.chat_format.tokenizer.decode(token_ids)
        first = times[0] - self.start if times else 0.0
        rate = (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 else 0.0
        reply = Reply(
            text=text,
            token_ids=token_ids,
            logps=logps,
            timings=Timings(time_to_first_token=first, tokens_per_second=rate),
            notices=(*self.prompt.notices, *notices),
            prompt=self.checkpoint.chat_format.prompt_text(self.prompt.messages),
            settings=self.settings,
            seed=self.seed,
        )
        self.on_end(reply)
        return reply
