"""Which chat template a checkpoint is asked with: the one that transformers' Qwen2AudioProcessor takes.

The first of these that is there:

processor_config.json                       under "chat_template", as in the two other JSON files
chat_template.json
chat_template.jinja
additional_chat_templates/default.jinja
tokenizer_config.json                       transformers' processor never reads it, but it is where checkpoints saved
                                            here keep theirs; passed over where it is a text model's, without a place
                                            for a clip
the processor's default                     not for a base model, which is asked in plain text
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from q2a_core.errors import ChatError, CheckpointError
from q2a_core.files import is_there, read_json, read_text
from q2a_core.text import ChatFormat, Tokenizer, system_message, user_message
from q2a_core.text.chat import MINI_TEMPLATE
from q2a_core.text.special_tokens import END_OF_TEXT, IM_END

DEFAULT_TEMPLATE = MINI_TEMPLATE
"""Renders what the processor's own default renders."""
TEMPLATE_FILE = "chat_template.json"
"""The one that every version of transformers with this model reads."""
JINJA_FILES = ("chat_template.jinja", "additional_chat_templates/default.jinja")
TRIAL = "What is this sound?"
TRIALS = (
    [user_message(TRIAL, clips=1)],
    [
        system_message("Be brief."),
        user_message(None, clips=2),
        {"role": "assistant", "content": "A dog."},
        user_message("And this?", clips=1),
    ],
)
"""What a template is tried on: one turn that it must render, then a dialogue."""


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
    default = ChatFormat(tokenizer, DEFAULT_TEMPLATE, audio_token_id=audio_token_id)
    if template is not None:
        rendered = _rendered(ChatFormat(tokenizer, template, audio_token_id=audio_token_id))
        turn = rendered[0] or ""
        if turn.count(default.audio_token) == 1 and TRIAL in turn:
            other = (
                "the chat template is that of tokenizer_config.json, which transformers' processor does not read: "
                "its default gives other prompts"
            )
            return ChosenTemplate(
                text=template, notice=None if rendered == _rendered(default) else other
            )
    if _is_base(directory, tokenizer):
        return ChosenTemplate(
            text=None,
            notice=f"this is a base model, which stops at {END_OF_TEXT} alone and has no chat template for clips: it "
            "is asked in plain text, not in the turns of the processor's default",
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
        if is_there(directory / name):
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


def _rendered(chat_format: ChatFormat) -> list[str | None]:
    """Each trial as the template renders it, None where it cannot."""
    texts: list[str | None] = []
    for messages in TRIALS:
        try:
            texts.append(chat_format.prompt_text(messages))
        except (ChatError, CheckpointError):
            texts.append(None)
    return texts


def _is_base(directory: Path, tokenizer: Tokenizer) -> bool:
    """Whether generation_config.json itself stops at the end of a text, and not at the end of a turn."""
    stops = read_json(directory / "generation_config.json", optional=True).get("eos_token_id")
    ids = stops if isinstance(stops, list) else [stops]
    end = tokenizer.token_id(END_OF_TEXT)
    return end is not None and end in ids and tokenizer.token_id(IM_END) not in ids
