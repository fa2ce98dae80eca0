"""Which chat template a checkpoint is asked with: the one that transformers' Qwen2AudioProcessor takes.

processor_config.json                       "chat_template"; then chat_template.json, chat_template.jinja and
additional_chat_templates/default.jinja     the first that is there decides
tokenizer_config.json                       no processor reads it; taken here, as checkpoints saved here keep theirs in
                                            it, unless it is a text model's, which has no place for a clip
nothing of these                            the processor's default; a base model is asked in plain text
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from q2a_core.errors import ChatError, CheckpointError
from q2a_core.files import read_json, read_text
from q2a_core.text import ChatFormat, Tokenizer, user_message
from q2a_core.text.chat import MINI_TEMPLATE
from q2a_core.text.tokenizer import END_OF_TEXT, IM_END

DEFAULT_TEMPLATE = MINI_TEMPLATE
"""Renders what the processor's own default renders."""
TEMPLATE_FILE = "chat_template.json"
"""The one that every version of transformers with this model reads."""
JINJA_FILES = ("chat_template.jinja", "additional_chat_templates/default.jinja")
TRIAL = "What is this sound?"


@dataclass(frozen=True, kw_only=True, slots=True)
class ChosenTemplate:
    """A template, and what a user should know of the choice."""

    text: str | None
    """Jinja; None asks in plain text."""
    notice: str | None = None


def choose_template(
    directory: Path, tokenizer: Tokenizer, *, audio_token_id: int
) -> ChosenTemplate:
    """The template of the checkpoint in `directory`. Raises CheckpointError where a file holds none that is text."""
    template = _processor_template(directory)
    if template is not None:
        return ChosenTemplate(text=template)
    template = _stated(directory, "tokenizer_config.json")
    if template is not None and _has_room_for_a_clip(
        ChatFormat(tokenizer, template, audio_token_id=audio_token_id)
    ):
        return ChosenTemplate(text=template)
    if _is_base(directory, tokenizer):
        return ChosenTemplate(
            text=None,
            notice=f"this is a base model: it stops at {END_OF_TEXT} alone and has no chat template for clips, so it "
            "is asked in plain text, without turns or a system prompt of its own",
        )
    if template is not None:
        return ChosenTemplate(
            text=DEFAULT_TEMPLATE,
            notice="the chat template in tokenizer_config.json cannot render a clip with a question; "
            "the processor's default is used, as in transformers",
        )
    return ChosenTemplate(text=DEFAULT_TEMPLATE)


def _processor_template(directory: Path) -> str | None:
    for name in ("processor_config.json", TEMPLATE_FILE):
        template = _stated(directory, name)
        if template is not None:
            return template
    for name in JINJA_FILES:
        if (directory / name).is_file():
            # an empty file counts as none, as in transformers
            return read_text(directory / name) or None
    return None


def _stated(directory: Path, name: str) -> str | None:
    """A JSON file's template; of several, which a list or an object names, the default."""
    template: Any = read_json(directory / name, optional=True).get("chat_template")
    if isinstance(template, list) and all(isinstance(entry, dict) for entry in template):
        template = {entry.get("name"): entry.get("template") for entry in template}
    if isinstance(template, dict):
        template = template.get("default")
    if template is not None and not isinstance(template, str):
        raise CheckpointError(f"{name}: chat_template is no text; expected a template")
    return template


def _has_room_for_a_clip(chat_format: ChatFormat) -> bool:
    try:
        rendered = chat_format.prompt_text([user_message(TRIAL, clips=1)])
    except (ChatError, CheckpointError):
        return False
    return rendered.count(chat_format.audio_token) == 1 and TRIAL in rendered


def _is_base(directory: Path, tokenizer: Tokenizer) -> bool:
    """Whether generation_config.json itself stops at the end of a text, and not at the end of a turn."""
    stops = read_json(directory / "generation_config.json", optional=True).get("eos_token_id")
    ids = stops if isinstance(stops, list) else [stops]
    end = tokenizer.token_id(END_OF_TEXT)
    return end is not None and end in ids and tokenizer.token_id(IM_END) not in ids
