"""Chat templates in Jinja, with what transformers gives them and no more.

A template is a program that comes with a foreign checkpoint: it runs in Jinja's sandbox, which lets it neither reach
Python's insides nor change the dialogue.
"""

import json
from datetime import datetime
from functools import lru_cache
from typing import Any

from q2a_core.errors import ChatError, CheckpointError


@lru_cache(maxsize=16)
def compile_template(template: str) -> Any:
    """A `jinja2.Template`, compiled once. Raises CheckpointError if it is not valid Jinja.

    Beside Jinja's own it knows `{% break %}`, `{% continue %}`, `{% generation %}`, `raise_exception`, `strftime_now`,
    and a `tojson` that escapes nothing. Rendering raises ChatError where the template refuses a dialogue.
    """
    from jinja2 import nodes
    from jinja2.exceptions import TemplateError
    from jinja2.ext import Extension, loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class GenerationBlock(Extension):
        """`{% generation %}` marks a reply for a loss mask, which is made elsewhere; what it holds is rendered."""

        tags = {"generation"}  # noqa: RUF012 - as Jinja declares it

        def parse(self, parser):
            line = next(parser.stream).lineno
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return nodes.Scope(body, lineno=line)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[GenerationBlock, loopcontrols]
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _refuse
    environment.globals["strftime_now"] = _strftime_now
    try:
        return environment.from_string(template)
    except TemplateError as error:
        raise CheckpointError(
            f"the checkpoint's chat template is not valid Jinja: {error}"
        ) from error


def _refuse(message: str) -> None:
    raise ChatError(f"the chat template refuses this dialogue: {message}")


def _strftime_now(pattern: str) -> str:
    return datetime.now().strftime(pattern)


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """Jinja's own writes `<` as `\\u003c`, for web pages."""
    return json.dumps(
        value,
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
    )
