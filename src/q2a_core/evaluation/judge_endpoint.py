"""One chat completion from any OpenAI-compatible endpoint, with the standard library alone.

The key is read from an environment variable when a request is made, goes into that request's header, and nowhere
else: it is in no message, and a redirect is not followed, lest another host receive it. What may pass (429, 5xx, a
timeout, a lost connection) is tried again after a growing pause; what will not (a wrong key or model) ends the run.
"""

import http.client
import json
import math
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from q2a_core.errors import Q2AError

LONGEST_PAUSE = 60.0
MAX_REPLY_BYTES = 1 << 20
_PASSING = (408, 409, 425, 429)


class Refused(Exception):
    """The judge declined to answer."""


class RequestFailed(Exception):
    """No answer after all attempts."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoint:
    """Where the judge is asked."""

    base_url: str
    """As OpenAI's clients take it, for example https://api.openai.com/v1."""
    model: str
    """The judge's name there; AIR-Bench's is gpt-4-0125-preview."""
    key_variable: str | None = None
    """Environment variable that holds the API key; None sends none."""
    temperature: float | None = 0.0
    """None leaves it to the endpoint, for models that refuse the setting."""
    timeout: float = 60.0
    """Seconds that one attempt may be silent."""
    attempts: int = 5
    """How often a request is made before it counts as failed."""
    pause: float = 1.0
    """Seconds before the second attempt; doubles each time, unless the endpoint names its own."""
    sleep: Callable[[float], None] = time.sleep
    """How to wait."""

    def __post_init__(self) -> None:
        try:
            url = urlsplit(self.base_url)
            is_web = (
                url.scheme in ("http", "https") and bool(url.hostname) and "@" not in url.netloc
            )
        except ValueError:
            is_web = False
        if not is_web:
            raise Q2AError(
                "the judge's base URL cannot be used; expected one like https://host/v1, without user or password"
            )

    @property
    def host(self) -> str:
        """Host and port."""
        return urlsplit(self.base_url).netloc

    def key(self) -> str | None:
        """The API key. Raises Q2AError if its variable is not set."""
        if self.key_variable is None:
            return None
        key = os.environ.get(self.key_variable, "").strip()
        if not key:
            raise Q2AError(
                f"the environment variable {self.key_variable} is empty; expected the judge's API key in it"
            )
        if not (key.isascii() and key.isprintable()):
            raise Q2AError(f"{self.key_variable} holds characters that no API key has; set it anew")
        return key


def complete(endpoint: Endpoint, messages: list[dict[str, str]]) -> str:
    """The judge's text. Raises Refused, RequestFailed, or Q2AError where no further request makes sense."""
    key = endpoint.key()
    reason = "it was never asked"
    for attempt in range(endpoint.attempts):
        try:
            return _text(_post(endpoint, messages, key))
        except urllib.error.HTTPError as error:
            with error:
                reason, wait = _judge_status(error, endpoint, key), _named_pause(error)
        except (OSError, http.client.HTTPException, ValueError, RecursionError) as error:
            reason, wait = _without(f"{type(error).__name__}: {error}", key), None
        if attempt + 1 < endpoint.attempts:
            grown = endpoint.pause * 2**attempt
            endpoint.sleep(min(grown if wait is None else max(wait, grown), LONGEST_PAUSE))
    raise RequestFailed(f"{reason}, {endpoint.attempts} times")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req, fp, code, msg, headers, newurl):
        return None


def _post(endpoint: Endpoint, messages: list[dict[str, str]], key: str | None) -> Any:
    body: dict[str, Any] = {"model": endpoint.model, "messages": messages}
    if endpoint.temperature is not None:
        body["temperature"] = endpoint.temperature
    headers = {"Content-Type": "application/json", "User-Agent": "q2a"}
    if key is not None:
        headers["Authorization"] = f"Bearer {key}"
    request = urllib.request.Request(
        endpoint.base_url.rstrip("/") + "/chat/completions",
        data=json.dumps(body).encode(),
        headers=headers,
        method="POST",
    )
    opener = urllib.request.build_opener(_NoRedirect)
    with opener.open(request, timeout=endpoint.timeout) as response:
        return json.loads(response.read(MAX_REPLY_BYTES))


def _text(answer: Any) -> str:
    """The first choice's text; ValueError if the answer has another form."""
    try:
        choice = answer["choices"][0]
        message = choice["message"]
        refusal, text = message.get("refusal"), message.get("content")
        reason = choice.get("finish_reason")
    except (TypeError, KeyError, IndexError, AttributeError) as error:
        raise ValueError("the answer is no chat completion") from error
    if refusal or reason == "content_filter":
        raise Refused(str(refusal or "stopped by the content filter")[:200])
    if isinstance(text, list):  # parts, as some servers answer
        text = "".join(str(part.get("text", "")) for part in text if isinstance(part, dict))
    if not isinstance(text, str) or not text.strip():
        raise Refused("an empty answer")
    return text


def _judge_status(error: urllib.error.HTTPError, endpoint: Endpoint, key: str | None) -> str:
    """What is known of a status that may pass; other ones raise."""
    try:
        body = error.read(2000).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException):
        body = ""
    said = f"status {error.code}"
    if error.code in _PASSING or error.code >= 500:
        return said
    if error.code == 400 and "content_filter" in body:
        raise Refused("stopped by the content filter")
    detail = " ".join(_without(body, key).split())[:200]
    raise Q2AError(
        f"the judge at {endpoint.host} turned the request away with {said}: {detail or 'no reason given'}; "
        "check base URL, model name and API key"
    )


def _named_pause(error: urllib.error.HTTPError) -> float | None:
    """Seconds from a Retry-After header."""
    try:
        seconds = float(error.headers.get("Retry-After", ""))
    except ValueError:
        return None
    return max(seconds, 0.0) if math.isfinite(seconds) else None


def _without(text: str, key: str | None) -> str:
    return text if key is None else text.replace(key, "***")
