"""Text to token ids and back, through a checkpoint's own `tokenizer.json`.

The mini models use a byte-level BPE of the same kind as Qwen2's, trained once on the mini world's text; a published
checkpoint brings its own 151,643 entries. Special tokens such as `<|im_start|>` are recognised inside text.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from q2a_core.errors import ChatError, CheckpointError
from q2a_core.text.named_tokens import add_named_tokens, read_named_tokens

AUDIO_TOKEN = "<|AUDIO|>"
"""Placeholder; one per 40 ms audio token after expansion."""
AUDIO_BOS = "<|audio_bos|>"
AUDIO_EOS = "<|audio_eos|>"
END_OF_TEXT = "<|endoftext|>"
IM_START = "<|im_start|>"
IM_END = "<|im_end|>"

TAG_TOKENS = tuple(
    f"<|{name}|>"
    for name in [
        "en",
        "de",
        "zh",
        "unknown",
        "startoftranscript",
        "startofanalysis",
        "transcribe",
        "translate",
        "caption",
        "keyword",
        "question",
        "answer",
        "notimestamps",
        "wo_itn",
        "itn",
        "emotion_recognition",
        "vocal_classification",
        "audio_caption",
        "scene",
        "note_analysis",
    ]
)
"""Language tags, and Qwen-Audio's hierarchical tags for the comparison with natural-language prompts."""
SPECIAL_TOKENS = (END_OF_TEXT, IM_START, IM_END, AUDIO_TOKEN, AUDIO_BOS, AUDIO_EOS, *TAG_TOKENS)
"""Special tokens of the mini tokenizer; their index is their id."""
MINI_ROLES = {
    "eos_token": IM_END,
    "pad_token": END_OF_TEXT,
    "audio_token": AUDIO_TOKEN,
    "audio_bos_token": AUDIO_BOS,
    "audio_eos_token": AUDIO_EOS,
}
"""What the mini tokenizer's special tokens are for, by the names that transformers has for it."""

QWEN2_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
    r"|[^\r\n\p{L}\p{N}]?\p{L}+"
    r"|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
"""Where Qwen2 cuts text before byte pairs are merged: words with their space, single digits, runs of punctuation."""


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
        if path.is_file():
            backend = cls.from_json(path.read_bytes(), name=path.name).backend
            named = read_named_tokens(directory)
            add_named_tokens(backend, named)
            _check_nothing_is_added(backend)
            return cls(backend, special_tokens_map=named.roles)
        if (directory / "vocab.json").is_file() and (directory / "merges.txt").is_file():
            from transformers import AutoTokenizer

            try:
                tokenizer = AutoTokenizer.from_pretrained(directory, local_files_only=True)
                return cls(
                    tokenizer.backend_tokenizer, special_tokens_map=tokenizer.special_tokens_map
                )
            except Exception as error:  # the libraries raise bare Exception
                raise CheckpointError(
                    f"vocab.json and merges.txt cannot be read as a tokenizer: {error}"
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


class StreamDecoder:
    """Turns ids that arrive one by one into text pieces, holding back characters whose bytes are not complete."""

    def __init__(self, tokenizer: Tokenizer):
        self.tokenizer = tokenizer
        self.ids: list[int] = []
        self.done = 0  # characters already handed out
        self.start = 0  # first id that is decoded again

    def push(self, token_id: int) -> str:
        """The text that `token_id` completes, perhaps empty."""
        self.ids.append(token_id)
        text = self.tokenizer.decode(self.ids[self.start :])
        # a tail of bytes that may become a character reads as one U+FFFD; everything before it is settled
        settled = len(text) - text.endswith("\ufffd")
        piece, self.done = text[self.done : settled], max(settled, self.done)
        # keep the cost of a step constant
        if settled == len(text) and len(self.ids) - self.start > 16:
            self.start, self.done = len(self.ids), 0
        return piece

    def finish(self) -> str:
        """Whatever is still held back."""
        text = self.tokenizer.decode(self.ids[self.start :])
        piece, self.done = text[self.done :], len(text)
        return piece


def train_tokenizer(texts: Iterable[str], *, vocab_size: int) -> Tokenizer:
    """Train the byte-level BPE of the mini models; the same texts in the same order give the same file."""
    from tokenizers import (
        AddedToken,
        Regex,
        decoders,
        models,
        normalizers,
        pre_tokenizers,
        trainers,
    )
    from tokenizers import Tokenizer as Backend

    backend = Backend(models.BPE())
    backend.normalizer = normalizers.NFC()
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(QWEN2_SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[
            AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS
        ],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(texts, trainer)
    return Tokenizer(backend)
