"""How likely a reply is under a prompt: teacher-forced log-probabilities, many prompts in one pass.

The reply is not decoded but given, token by token, and the model says how probable each one was after those before it.
For a reply that was decoded greedily or sampled from the same prompt these are the `logps` of that `Reply`. Any other
prompt may stand before it: that is what tells how much of a reply comes from the clip.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from q2a_core.errors import ChatError

if TYPE_CHECKING:
    from q2a_core.inference import Prompt
    from q2a_core.model import Qwen2Audio
    from q2a_core.text import Tokenizer

BATCH_SIZE = 8
"""Prompts scored in one pass."""


def score_replies(
    model: "Qwen2Audio", prompts: Sequence["Prompt"], replies: Sequence[Sequence[int]]
) -> list[np.ndarray]:
    """Log-probability in nats of each token of `replies[i]` after `prompts[i]`, one array (R_i,) a pair.

    The stop token is not scored unless the reply holds it. Raises ChatError for an empty prompt: the first token
    would come after nothing.
    """
    import torch

    scores: list[np.ndarray] = []
    with torch.inference_mode():
        for start in range(0, len(prompts), BATCH_SIZE):
            part = slice(start, start + BATCH_SIZE)
            scores += _score_batch(model, prompts[part], replies[part])
    return scores


def _score_batch(
    model: "Qwen2Audio", prompts: Sequence["Prompt"], replies: Sequence[Sequence[int]]
) -> list[np.ndarray]:
    import torch

    if not all(prompt.ids for prompt in prompts):
        raise ChatError("the prompt is empty; a reply can only be scored after something")
    # the last token is predicted and predicts nothing, so it need not be given
    rows = [[*prompt.ids, *reply[:-1]] for prompt, reply in zip(prompts, replies, strict=True)]
    longest = max(map(len, rows))
    device = model.decoder.embed_tokens.weight.device
    embeds = [clip for prompt in prompts for clip in prompt.audio_embeds]
    hidden_states = model.hidden_states(
        torch.tensor([row + [0] * (longest - len(row)) for row in rows], device=device),
        audio_embeds=torch.cat(embeds) if embeds else None,
        attention_mask=torch.tensor(
            [[1] * len(row) + [0] * (longest - len(row)) for row in rows], device=device
        ),
    )
    scores = []
    for states, prompt, reply in zip(hidden_states, prompts, replies, strict=True):
        # only these rows meet the vocabulary: the 7B's is 156,032 wide
        first = len(prompt.ids) - 1
        logits = model.decoder.lm_head(states[first : first + len(reply)]).float()
        chosen = torch.tensor(list(reply), device=device, dtype=torch.long)[:, None]
        logps = logits.log_softmax(-1).gather(-1, chosen).squeeze(-1)
        scores.append(logps.cpu().numpy())
    return scores


def token_pieces(tokenizer: "Tokenizer", token_ids: Sequence[int]) -> list[str]:
    """The text that each token adds, one entry a token; "" where a character still lacks bytes."""
    from q2a_core.text import StreamDecoder

    decoder = StreamDecoder(tokenizer)
    pieces = [decoder.push(token) for token in token_ids]
    if pieces:
        pieces[-1] += decoder.finish()
    return pieces
