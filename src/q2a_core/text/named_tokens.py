"""Tokens that a checkpoint names beside its `tokenizer.json`: their roles, and those that `tokenizer.json` lacks.

tokenizer_config.json       roles such as "eos_token"; added_tokens_decoder; extra_ or additional_special_tokens
special_tokens_map.json     older: roles and special tokens; read where there is no added_tokens_decoder, as below
added_tokens.json           older: ids by token

Transformers reads them in this order and adds what is missing to the tokenizer: first by id, then the roles, then the
rest.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from q2a_core.errors import CheckpointError
from q2a_core.files import read_json

CONFIG = "tokenizer_config.json"
STANDARD_ROLES = tuple(
    f"{role}_token" for role in ("bos", "eos", "unk", "sep", "pad", "cls", "mask")
)
"""In transformers' order, which gives new tokens their ids; roles of a model's own follow."""
QWEN2_CLASSES = ("Qwen2Tokenizer", "Qwen2TokenizerFast")
QWEN2_ROLES = dict.fromkeys(("eos_token", "unk_token", "pad_token"), "<|endoftext|>")
"""What these classes take where the file says nothing."""
NUMBER = re.compile(r"[0-9]{1,9}")
FLAGS = ("single_word", "lstrip", "rstrip", "normalized", "special")

Token = dict[str, Any]
"""Arguments of `tokenizers.AddedToken`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NamedTokens:
    """What the files beside `tokenizer.json` say of tokens."""

    roles: dict[str, str] | None
    """Token by role, such as {"eos_token": "<|im_end|>"}, for chat templates; None without `tokenizer_config.json`."""
    numbered: dict[int, Token]
    """Tokens whose id is stated."""
    unnumbered: tuple[Token, ...]
    """Those of the roles, then special tokens without an id."""


def read_named_tokens(directory: Path) -> NamedTokens:
    """Read the three files, as far as they are there. Raises CheckpointError."""
    config = read_json(directory / CONFIG, optional=True)
    older: dict[str, Any] = {}
    if "added_tokens_decoder" not in config:
        older = read_json(directory / "special_tokens_map.json", optional=True)
    extra = _extra(config) or _extra(older)
    # extra tokens with names are roles of the model's own
    named = _roles(config | older | (extra if isinstance(extra, dict) else {}))
    roles: dict[str, Token] = {
        role: {**_token(value), "special": True} for role, value in named.items()
    }
    listed = [] if isinstance(extra, dict) else [_token(entry) for entry in extra]
    unnumbered = (*roles.values(), *listed)
    special = {token["content"] for token in unnumbered}
    if "added_tokens_decoder" in config:
        numbered = _decoder(config["added_tokens_decoder"])
    else:
        numbered = _added_tokens(directory / "added_tokens.json", special)
    return NamedTokens(
        roles={role: token["content"] for role, token in roles.items()} if config else None,
        numbered=numbered,
        unnumbered=unnumbered,
    )


def add_named_tokens(backend: Any, named: NamedTokens) -> None:
    """Give a `tokenizers.Tokenizer` the tokens that it lacks; raises CheckpointError if one would get another id."""
    from tokenizers import AddedToken

    held = {token.content for token in backend.get_added_tokens_decoder().values()}
    special = set((named.roles or {}).values())
    missing: dict[str, AddedToken] = {}
    for token in (*(token for _, token in sorted(named.numbered.items())), *named.unnumbered):
        content = token["content"]
        if content not in held and content not in missing:
            arguments: Token = {**token, "special": True} if content in special else token
            missing[content] = AddedToken(**arguments)
    backend.add_tokens(list(missing.values()))
    for number, token in sorted(named.numbered.items()):
        found = backend.token_to_id(token["content"])
        if found != number:
            raise CheckpointError(
                f"the token {token['content']!r} has id {found} after tokenizer.json, {number} in the files beside it; "
                "these files are of two checkpoints"
            )


def _extra(values: dict[str, Any]) -> list[Any] | dict[str, Any]:
    extra = values.get("extra_special_tokens") or values.get("additional_special_tokens") or []
    if not isinstance(extra, list | dict):
        raise CheckpointError(
            f"{CONFIG}: the extra special tokens are {type(extra).__name__}; expected a list of tokens"
        )
    return extra


def _roles(values: dict[str, Any]) -> dict[str, Any]:
    defaults = QWEN2_ROLES if values.get("tokenizer_class") in QWEN2_CLASSES else {}
    own = values.get("model_specific_special_tokens")
    named = defaults | values | (own if isinstance(own, dict) else {})
    # null is no token, and a switch such as add_bos_token ends like a role and names none
    named = {
        role: value
        for role, value in named.items()
        if role.endswith("_token") and isinstance(value, str | dict)
    }
    return {role: named[role] for role in STANDARD_ROLES if role in named} | named


def _decoder(entries: Any) -> dict[int, Token]:
    if not isinstance(entries, dict) or not all(NUMBER.fullmatch(key) for key in entries):
        raise CheckpointError(
            f"{CONFIG}: added_tokens_decoder is {str(entries)[:40]!r}; expected tokens by their id"
        )
    return {int(number): _token(entry) for number, entry in entries.items()}


def _added_tokens(path: Path, special: set[str]) -> dict[int, Token]:
    entries = read_json(path, optional=True)
    if not all(type(number) is int for number in entries.values()):
        raise CheckpointError(f"{path.name} is {str(entries)[:40]!r}; expected ids by their token")
    return {
        number: {"content": token, "special": token in special, "normalized": token not in special}
        for token, number in entries.items()
    }


def _token(entry: Any) -> Token:
    if isinstance(entry, str):
        return {"content": entry, "special": True, "normalized": False}
    if isinstance(entry, dict) and isinstance(entry.get("content"), str):
        flags = {flag: bool(entry[flag]) for flag in FLAGS if flag in entry}
        return {"content": entry["content"], **flags}
    raise CheckpointError(f"{CONFIG} names {str(entry)[:40]!r} as a token; expected its text")
