"""From a dialogue to token ids: the checkpoint's own chat template, then one placeholder per 40 ms audio token.

A message is what transformers takes: {"role": ..., "content": str or list of parts}, a part being {"type": "audio"} or
{"type": "text", "text": ...}. A prompt's clips get an "audio_url" too, as in the official examples: templates that
older versions saved know a clip by nothing else. Placeholders are expanded here, before the model runs, so that the
length of the sequence, the labels and the cache are known in advance.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from q2a_core.errors import ChatError, CheckpointError
from q2a_core.text.chat_template import compile_template
from q2a_core.text.special_tokens import AUDIO_BOS, AUDIO_EOS, AUDIO_TOKEN, END_OF_TEXT, IM_END
from q2a_core.text.tokenizer import Tokenizer, check_text

Message = dict[str, Any]

MINI_TEMPLATE = """\
{%- set clips = namespace(count=0) -%}
{%- for message in messages -%}
{%- if loop.first and message['role'] != 'system' -%}
{{ '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' }}
{%- endif -%}
{{ '<|im_start|>' + message['role'] + '\\n' }}
{%- if message['content'] is string -%}
{{ message['content'] }}
{%- else -%}
{%- for part in message['content'] -%}
{%- if 'audio' in part or 'audio_url' in part or part['type'] == 'audio' -%}
{%- set clips.count = clips.count + 1 -%}
{{ 'Audio ' ~ clips.count ~ ': <|audio_bos|><|AUDIO|><|audio_eos|>\\n' }}
{%- elif 'text' in part -%}
{{ part['text'] }}
{%- endif -%}
{%- endfor -%}
{%- endif -%}
{{ '<|im_end|>\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{ '<|im_start|>assistant\\n' }}
{%- endif -%}
"""
"""The mini models' template; renders what transformers' Qwen2AudioProcessor renders."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Dialogue:
    """A dialogue as the model is trained on it."""

    input_ids: list[int]  # (T,), placeholders expanded
    # (T,), True on the assistant's own tokens and the token that ends each turn
    loss_mask: list[bool]


def user_message(text: str | None, *, clips: int = 0) -> Message:
    """A user's turn: its clips first, then its text. Raises ChatError unless the text is valid Unicode."""
    parts: list[dict[str, str]] = [{"type": "audio"} for _ in range(clips)]
    if text is not None:
        check_text(text)
        parts.append({"type": "text", "text": text})
    return {"role": "user", "content": parts}


def system_message(text: str) -> Message:
    """The system prompt. Raises ChatError unless it is valid Unicode."""
    check_text(text, "system prompt")
    return {"role": "system", "content": text}


def expand_placeholders(
    ids: Sequence[int],
    audio_token_id: int,
    token_counts: Sequence[int],
    *,
    audio_token: str = AUDIO_TOKEN,
) -> list[int]:
    """Repeat the k-th placeholder `token_counts[k]` times; raises ChatError if their numbers differ or a count is 0."""
    found = sum(1 for token in ids if token == audio_token_id)
    if found != len(token_counts):
        raise ChatError(
            f"the text has {found} {audio_token} placeholders for {len(token_counts)} clips; "
            "give one clip per placeholder, in order"
        )
    if min(token_counts, default=1) < 1:
        raise ChatError(
            "a clip is too short for one 40 ms audio token; give at least 321 samples at 16 kHz"
        )
    counts = iter(token_counts)
    expanded: list[int] = []
    for token in ids:
        expanded.extend([token] * next(counts) if token == audio_token_id else [token])
    return expanded


class ChatFormat:
    """A tokenizer with the template and the special ids of one checkpoint."""

    def __init__(self, tokenizer: Tokenizer, template: str | None, *, audio_token_id: int):
        self.tokenizer = tokenizer
        self.template = template
        self.audio_token_id = audio_token_id

    @property
    def pad_id(self) -> int:
        """What rows are padded with; 0, which is masked like any other, if the tokenizer has no end of text."""
        return self.tokenizer.token_id(END_OF_TEXT) or 0

    @property
    def audio_token(self) -> str:
        """The placeholder as text, `<|AUDIO|>` unless the checkpoint has another name for it."""
        return self.tokenizer.piece(self.audio_token_id)

    @property
    def stop_ids(self) -> tuple[int, ...]:
        """The tokens that end a reply, as far as the tokenizer has them; plain text has no turns to end."""
        turn, text = (self.tokenizer.token_id(token) for token in (IM_END, END_OF_TEXT))
        if self.template is None and text is not None:
            turn = None
        return tuple(token for token in (turn, text) if token is not None)

    def render(self, messages: Sequence[Message], *, add_generation_prompt: bool = True) -> str:
        """The dialogue as text, one placeholder per clip.

        A base model has no template: its prompt is each part in order, clips between their own two tokens. Raises
        ChatError if the template refuses the dialogue, CheckpointError if it cannot be run.
        """
        if self.template is None:
            return "".join(self._plain(message["content"]) for message in messages)
        try:
            return compile_template(self.template).render(
                self.tokenizer.special_tokens_map,
                messages=list(messages),
                add_generation_prompt=add_generation_prompt,
                tools=None,
                documents=None,
            )
        except (ChatError, CheckpointError):
            raise
        except Exception as error:  # a template is a program that came with the checkpoint
            raise CheckpointError(
                f"the checkpoint's chat template cannot render this dialogue: {error}"
            ) from error

    def prompt_text(self, messages: Sequence[Message]) -> str:
        """What the model is asked: the dialogue rendered up to where the assistant speaks; raises as `render` does."""
        return self.render(_with_urls(messages))

    def prompt_ids(self, messages: Sequence[Message], token_counts: Sequence[int]) -> list[int]:
        """Ids (T,) up to where the assistant speaks; `token_counts` lists the audio tokens of each clip.

        Raises ChatError if placeholders and counts differ or the text is no valid Unicode, and as `render` does.
        """
        return self._expand_placeholders(
            self.tokenizer.encode(self.prompt_text(messages)), token_counts
        )

    def dialogue(self, messages: Sequence[Message], token_counts: Sequence[int]) -> Dialogue:
        """Ids and loss mask of a whole dialogue.

        Every assistant turn is encoded apart from what precedes it, because that is how it will be generated. Raises
        ChatError unless the last turn is the assistant's: nothing would be learnt from what comes after.
        """
        if not messages or messages[-1]["role"] != "assistant":
            last = messages[-1]["role"] if messages else "nothing"
            raise ChatError(f"the dialogue ends with {last}; expected the assistant's turn")
        messages = _with_urls(messages)
        input_ids: list[int] = []
        loss_mask: list[bool] = []
        rendered = ""
        for index, message in enumerate(messages):
            if message["role"] != "assistant":
                continue
            before = self.render(messages[:index])
            after = self.render(messages[: index + 1], add_generation_prompt=False)
            if not (before.startswith(rendered) and after.startswith(before)):
                raise CheckpointError(
                    "the chat template rewrites earlier turns; labels cannot be placed"
                )
            reply, newline = after[len(before) :], ""
            if reply.endswith("\n"):
                reply, newline = reply[:-1], "\n"
            for text, counts in ((before[len(rendered) :], False), (reply, True), (newline, False)):
                ids = self.tokenizer.encode(text)
                input_ids += ids
                loss_mask += [counts] * len(ids)
            rendered = after
        return self._expand(input_ids, loss_mask, token_counts)

    def _expand(
        self, input_ids: list[int], loss_mask: list[bool], token_counts: Sequence[int]
    ) -> Dialogue:
        expanded = self._expand_placeholders(input_ids, token_counts)
        counts = iter(token_counts)
        mask: list[bool] = []
        for token, counted in zip(input_ids, loss_mask, strict=True):
            mask.extend([False] * next(counts) if token == self.audio_token_id else [counted])
        return Dialogue(input_ids=expanded, loss_mask=mask)

    def _expand_placeholders(self, ids: list[int], token_counts: Sequence[int]) -> list[int]:
        return expand_placeholders(
            ids, self.audio_token_id, token_counts, audio_token=self.audio_token
        )

    def _plain(self, content: str | Sequence[dict[str, str]]) -> str:
        if isinstance(content, str):
            return content
        named = self.tokenizer.special_tokens_map
        begin = named.get("audio_bos_token", AUDIO_BOS)
        end = named.get("audio_eos_token", AUDIO_EOS)
        return "".join(part.get("text", begin + self.audio_token + end) for part in content)


def _with_urls(messages: Sequence[Message]) -> list[Message]:
    """The dialogue with an empty URL for each clip that has nothing beside its type."""
    return [
        {**message, "content": [_with_url(part) for part in message["content"]]}
        if isinstance(message.get("content"), list)
        else message
        for message in messages
    ]


def _with_url(part: Any) -> Any:
    return {**part, "audio_url": ""} if part == {"type": "audio"} else part
