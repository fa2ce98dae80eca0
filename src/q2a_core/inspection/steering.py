"""Steering: push the residual stream along a probe's direction while a reply is decoded, and see what becomes of it.

A strength of 1 pushes as far as the means of the two classes lie apart. The push is added after one block, at the
position that decides the next token, at every step. A random direction of the same length stands beside it: any push
that is long enough breaks a reply, and only a difference between the two says something about the mode.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from q2a_core.inspection.linear_probe import Share, share_of
from q2a_core.inspection.mode_probe import prompt_of
from q2a_core.inspection.mode_scenes import ModeClip
from q2a_core.inspection.words import FIRST_IDEOGRAPH
from q2a_core.progress import OnProgress, unheard

if TYPE_CHECKING:
    from q2a_core.inference import AudioChat, Prompt
    from q2a_core.model import Qwen2Audio

BATCH_SIZE = 32
LONGEST_REPLY = 24
"""Tokens decoded of each reply where only its kind is asked for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SteeringEffect:
    """What one push did to the replies of clips of one class."""

    strength: float
    turned: Share
    """Replies that begin as those of the other class do."""
    kept: Share
    """Replies that begin as those of their own class do."""
    unchanged: Share
    """Replies that are the same word for word."""
    replies: tuple[str, ...]

    @property
    def neither(self) -> float:
        """Share of replies that begin as no reply without a push did."""
        return 1.0 - self.turned.value - self.kept.value


def steer(chat: "AudioChat", layer: int, vector: np.ndarray, strength: float) -> "AudioChat":
    """A new dialogue on the same weights that pushes by `strength` times `vector` (D,) after block `layer`.

    The model that `chat` shares with others stays as it is. Raises ValueError for a layer that is not there.
    """
    import torch

    from q2a_core.inference import AudioChat
    from q2a_core.inspection.model_view import steered_view

    push = torch.from_numpy(np.asarray(strength * vector, dtype=np.float32))
    return AudioChat(chat.checkpoint, steered_view(chat.model, layer, push), system=chat.system)


def random_direction(like: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A direction (D,) drawn evenly, as long as `like`: the control beside a probe's."""
    drawn = rng.standard_normal(like.shape)
    return drawn * (np.linalg.norm(like) / np.linalg.norm(drawn))


def steering_effects(
    chat: "AudioChat",
    clips: Sequence[ModeClip],
    layer: int,
    vector: np.ndarray,
    strengths: Sequence[float],
    *,
    on_progress: OnProgress = unheard,
) -> list[SteeringEffect]:
    """Push the replies to `clips` of class 0 by each strength, those of class 1 by its negative, and count their kinds.

    `clips` should be others than those the direction was found on. A reply's kind is how it begins: its first two words
    are looked up among the replies without a push. `on_progress(done, total)` counts pushes.
    """
    prompts = [prompt_of(chat, clip) for clip in clips]
    labels = [clip.label for clip in clips]
    natural = decode_replies(chat, chat.model, prompts)
    kinds = reply_kinds(natural, labels)
    effects = []
    for done, strength in enumerate(strengths):
        replies = [""] * len(clips)
        for label, sign in ((0, 1.0), (1, -1.0)):
            places = [place for place, of in enumerate(labels) if of == label]
            pushed = steer(chat, layer, vector, sign * strength).model
            texts = decode_replies(chat, pushed, [prompts[place] for place in places])
            for place, text in zip(places, texts, strict=True):
                replies[place] = text
        found = [kinds.get(opening(reply)) for reply in replies]
        pairs = list(zip(found, labels, strict=True))
        effects.append(
            SteeringEffect(
                strength=strength,
                turned=_share([kind == 1 - label for kind, label in pairs]),
                kept=_share([kind == label for kind, label in pairs]),
                unchanged=_share([a == b for a, b in zip(replies, natural, strict=True)]),
                replies=tuple(replies),
            )
        )
        on_progress(done + 1, len(strengths))
    return effects


def reply_kinds(replies: Sequence[str], labels: Sequence[int]) -> dict[str, int]:
    """Opening of a reply to the class whose replies begin so more often; class 0 where both do equally."""
    seen = Counter((opening(reply), label) for reply, label in zip(replies, labels, strict=True))
    openings = {words for words, _ in seen}
    return {words: int(seen[words, 1] > seen[words, 0]) for words in openings}


def opening(reply: str) -> str:
    """The first two words of a reply, without case; of Chinese, where words are not parted, the first two letters."""
    words = " ".join(reply.lower().split()[:2])
    return words[:2] if any(letter >= FIRST_IDEOGRAPH for letter in words) else words


def decode_replies(
    chat: "AudioChat", model: "Qwen2Audio", prompts: Sequence["Prompt"]
) -> list[str]:
    """Greedy replies to many prompts, LONGEST_REPLY tokens at most, by `model`: `chat`'s own or a view of it."""
    from q2a_core.inference import GenerationSettings, generate
    from q2a_core.inference.batch import encoded_batch

    settings = GenerationSettings.from_generation_config(
        chat.checkpoint.generation_config, max_new_tokens=LONGEST_REPLY, temperature=0.0
    )
    device = model.decoder.embed_tokens.weight.device
    texts: list[str] = []
    for start in range(0, len(prompts), BATCH_SIZE):
        part = prompts[start : start + BATCH_SIZE]
        done = generate(model, settings=settings, **encoded_batch(part, device=device))
        texts += [chat.checkpoint.chat_format.tokenizer.decode(ids) for ids in done.token_ids]
    return texts


def _share(hits: Sequence[bool]) -> Share:
    return share_of(float(np.mean(hits)), len(hits))
