"""Text to token ids and back, through a checkpoint's own `tokenizer.json`.

A published checkpoint brings 151,643 entries, a mini model its own few. Special tokens such as `<|im_start|>` are
recognised inside text.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from q2a_core.errors import ChatError, CheckpointError
from q2a_core.files import is_there
from q2a_core.text.named_tokens import add_named_tokens, read_named_tokens
from q2a_core.text.special_tokens import MINI_ROLES


class Tokenizer:
    """A byte-level BPE with special tokens."""

    def __init__(self, backend, *, special_tokens_map: Mapping[str, str] | None = None):
        self.backend = backend  # tokenizers.Tokenizer
        named = MINI_ROLES if special_tokens_map is None else special_tokens_map
        self.special_tokens_map = {
            role: token for role, token in named.items() if self.token_id(token) is not None
        }
        """Token by role, such as {"eos_token": "<|im_end|>"}; without `special_tokens_map` as in the mini models."""

    @classmethod
    def from_directory(cls, directory: str | Path) -> "Tokenizer":
        """Read `tokenizer.json`, or `vocab.json` with `merges.txt` through transformers.

        Tokens that only the files beside it name are added. Raises CheckpointError, also for a file that puts tokens
        around every text, as no Qwen2 does.
        """
        directory = Path(directory)
        path = directory / "tokenizer.json"
        if is_there(path):
            backend = cls.from_json(path.read_bytes(), name=path.name).backend
            named = read_named_tokens(directory)
            add_named_tokens(backend, named)
            _check_nothing_is_added(backend)
            return cls(backend, special_tokens_map=named.roles)
        if is_there(directory / "vocab.json") and is_there(directory / "merges.txt"):
            from transformers import AutoTokenizer

            try:
                tokenizer = AutoTokenizer.from_pretrained(directory, local_files_only=True)
                return cls(
                    tokenizer.backend_tokenizer, special_tokens_map=tokenizer.special_tokens_map
                )
            except Exception as error:  # the libraries raise bare Exception
                reason = " ".join(str(error).split())[:200]
                raise CheckpointError(
                    f"vocab.json and merges.txt cannot be read as a tokenizer: {reason}"
                ) from error
        raise CheckpointError(
            f"{directory.name} has no tokenizer.json; expected one, or vocab.json with merges.txt"
        )

    @classmethod
    def from_json(
        cls,
        content: bytes,
        *,
        name: str = "tokenizer.json",
        special_tokens_map: Mapping[str, str] | None = None,
    ) -> "Tokenizer":
        """Read the content of a `tokenizer.json`, called `name` in messages. Raises CheckpointError."""
        from tokenizers import Tokenizer as Backend

        try:
            backend = Backend.from_str(content.decode("utf-8"))
        except Exception as error:  # the library raises bare Exception
            raise CheckpointError(f"{name} cannot be read as a tokenizer: {error}") from error
        backend.no_padding()
        backend.no_truncation()
        return cls(backend, special_tokens_map=special_tokens_map)

    def to_json(self) -> str:
        """The content of `tokenizer.json`."""
        return json.dumps(json.loads(self.backend.to_str()), ensure_ascii=False, indent=1) + "\n"

    def __len__(self) -> int:
        """Entries, special tokens included."""
        return self.backend.get_vocab_size(with_added_tokens=True)

    @property
    def special_tokens(self) -> list[str]:
        """Those that decoding may leave out, by id."""
        added = sorted(self.backend.get_added_tokens_decoder().items())
        return [token.content for _, token in added if token.special]

    def encode(self, text: str) -> list[int]:
        """Token ids of `text`; nothing is added. Raises ChatError as `check_text` does."""
        check_text(text)
        return self.backend.encode(text, add_special_tokens=False).ids

    def decode(self, ids: Sequence[int], *, skip_special: bool = True) -> str:
        """Text of token ids; bytes that are not yet whole characters become U+FFFD."""
        return self.backend.decode(list(ids), skip_special_tokens=skip_special)

    def token_id(self, token: str) -> int | None:
        """Id of one token, None if the vocabulary has none such."""
        return self.backend.token_to_id(token)

    def piece(self, token_id: int) -> str:
        """The text that one token stands for, special tokens by name; for labels in figures."""
        return self.decode([token_id], skip_special=False)


def _check_nothing_is_added(backend) -> None:
    """Transformers' prompts get what a post-processor adds; dialogues are encoded in pieces here, which must not."""
    encoding = backend.encode("a")
    added = [
        token
        for token, special in zip(encoding.tokens, encoding.special_tokens_mask, strict=True)
        if special
    ]
    if added:
        raise CheckpointError(
            f"tokenizer.json adds {', '.join(added)} to every text (its post_processor); expected Qwen2's tokenizer, "
            "which adds nothing: remove the post_processor if the model was trained without it"
        )


def check_text(text: object, what: str = "text") -> None:
    """Raises ChatError unless `text`, called `what` in the message, is a str of whole Unicode characters."""
    if not isinstance(text, str):
        raise ChatError(
            f"the {what} is {ascii(text)[:40]} of type {type(text).__name__}; expected a str"
        )
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ChatError(
            f"the {what} holds {text[error.start]!a} at position {error.start}, which is no character; "
            "expected valid Unicode, so give it in UTF-8"
        ) from error
