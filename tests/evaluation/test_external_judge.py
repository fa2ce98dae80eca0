"""The AIR-Bench judge against an endpoint played by a local server."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from q2a_core.errors import Q2AError
from q2a_core.evaluation.external_judge import JudgeItem, judge_messages, mark_items, parse_marks
from q2a_core.evaluation.judge_endpoint import Endpoint, Refused, RequestFailed, complete
from q2a_core.evaluation.replies import ReplyStore

KEY = "sk-very-secret"
MESSAGES = [{"role": "user", "content": "Hello"}]
ITEM = JudgeItem(
    name="1",
    category="sound",
    description="A dog barks twice.",
    question="What is this?",
    reference="This is the sound of a dog.",
    reply="A cat.",
)


def completion(text, **choice):
    return 200, {"choices": [{"message": {"content": text}, **choice}]}


class Server(ThreadingHTTPServer):
    """Answers with `script(number, body)`: a status and an object or bytes, and perhaps headers."""

    def __init__(self, script):
        super().__init__(("127.0.0.1", 0), Handler)
        self.script, self.requests = script, []
        self.url = f"http://127.0.0.1:{self.server_port}/v1"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append((self.path, dict(self.headers), body))
        status, content, *headers = self.server.script(len(self.server.requests), body)
        if status is None:  # silence until the client has gone
            time.sleep(content)
            return
        content = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in (headers[0] if headers else {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format, *args):
        pass


@pytest.fixture
def serve(monkeypatch):
    monkeypatch.setenv("JUDGE_KEY", KEY)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    servers = []

    def start(script):
        server = Server(script)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def pauses():
    return []


@pytest.fixture
def endpoint(pauses):
    def make(server, **options):
        options = {"key_variable": "JUDGE_KEY", "timeout": 5.0, "sleep": pauses.append} | options
        return Endpoint(base_url=server.url, model="judge-1", **options)

    return make


@pytest.mark.parametrize(
    ("text", "marks"),
    [
        ("7 9", (7, 9)),
        ("  8.5   10 \n", (8.5, 10)),
        ("6, 4", (6, 4)),
        ("0 0.", (0, 0)),
        ("Here you are:\n7 9\nbecause", (7, 9)),
        ("11 3", None),
        ("7", None),
        ("7 8 9", None),
        ("8/10 7/10", None),
        ("-1 5", None),
        ("Assistant 1 gets 7 and 2 gets 9", None),
        ("", None),
    ],
)
def test_marks_are_two_numbers_on_a_line(text, marks):
    assert parse_marks(text) == marks


def test_the_judge_reads_everything_and_positions_are_swapped():
    first, second = (judge_messages(ITEM, swapped=swapped)[1]["content"] for swapped in (0, 1))
    for text in (ITEM.description, ITEM.question, ITEM.reference, ITEM.reply):
        assert text in first
        assert text in second
    assert first.index(ITEM.reference) < first.index(ITEM.reply)
    assert second.index(ITEM.reply) < second.index(ITEM.reference)
    braces = JudgeItem(**dict.fromkeys(JudgeItem.__dataclass_fields__, "{first}"))
    assert "{first}" in judge_messages(braces, swapped=False)[1]["content"]


def test_marks_of_both_positions_are_averaged(serve, endpoint):
    # a judge that likes the first position by one mark, and the reference by six
    server = serve(lambda number, body: completion("9 2" if number % 2 else "3 8"))
    items = [ITEM, JudgeItem(**{**as_dict(ITEM), "name": "2", "category": "music"})]
    report = mark_items(endpoint(server), items)
    assert json.loads(json.dumps(report)) == report
    assert report["counts"] == {"scored": 2, "unparsable": 0, "refused": 0, "failed": 0}
    rows = {row["suite"]: row for row in report["rows"]}
    assert set(rows) == {f"AIR-Bench chat, {name}" for name in ("sound", "music", "all")}
    overall = rows["AIR-Bench chat, all"]
    assert overall["score"] == {"value": 2.5, "low": 2.5, "high": 2.5, "n": 2}
    assert overall["reference"]["value"] == 8.5
    assert overall["lead_of_first"]["value"] == 1.0
    path, headers, body = server.requests[0]
    assert path == "/v1/chat/completions"
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert (body["model"], body["temperature"]) == ("judge-1", 0.0)
    assert KEY not in json.dumps(report)


def as_dict(item):
    return {name: getattr(item, name) for name in JudgeItem.__dataclass_fields__}


def test_what_cannot_be_scored_is_counted_and_left_out(serve, endpoint):
    answers = {
        "good": completion("5 5"),
        "garbage": completion("I like both."),
        "empty": completion(""),
        "filtered": completion("7 7", finish_reason="content_filter"),
        "declined": (200, {"choices": [{"message": {"content": None, "refusal": "No."}}]}),
        "azure": (400, {"error": {"code": "content_filter"}}),
        "down": (503, b"<html>"),
    }

    def script(number, body):
        content = body["messages"][1]["content"]
        return next(answer for name, answer in answers.items() if f"q-{name}" in content)

    items = [JudgeItem(**{**as_dict(ITEM), "name": n, "question": f"q-{n}"}) for n in answers]
    report = mark_items(endpoint(serve(script), attempts=2), items)
    assert report["counts"] == {"scored": 1, "unparsable": 1, "refused": 4, "failed": 1}
    assert report["rows"][-1]["score"]["n"] == 1
    assert "status 503, 2 times" in report["items"][-1]["said"][0]


def test_answers_are_kept_and_paid_for_once(serve, endpoint, tmp_path):
    server = serve(lambda number, body: completion("4 6"))
    store = tmp_path / "judge.jsonl"
    first = mark_items(endpoint(server), [ITEM], store=ReplyStore(store))
    assert mark_items(endpoint(server), [ITEM], store=ReplyStore(store)) == first
    assert len(server.requests) == 2
    mark_items(
        endpoint(server),
        [JudgeItem(**{**as_dict(ITEM), "reply": "A cow."})],
        store=ReplyStore(store),
    )
    assert len(server.requests) == 4
    assert KEY not in store.read_text("utf-8")


@pytest.mark.parametrize(
    "broken", [(429, {}), (500, b""), (200, b"not JSON"), (200, [1]), (200, b"[" * 200_000)]
)
def test_what_may_pass_is_tried_again_with_growing_pauses(serve, endpoint, pauses, broken):
    server = serve(lambda number, body: broken if number < 4 else completion("1 2"))
    assert complete(endpoint(server), MESSAGES) == "1 2"
    assert pauses == [1, 2, 4]
    server.script = lambda number, body: broken
    with pytest.raises(RequestFailed, match="3 times"):
        complete(endpoint(server, attempts=3), MESSAGES)


def test_the_endpoint_may_name_the_pause(serve, endpoint, pauses):
    waits = iter(["7", "0", "9999", "Wed, 21 Oct 2026 07:28:00 GMT", "nan"])

    def script(number, body):
        wait = next(waits, None)
        return (429, {}, {"Retry-After": wait}) if wait else completion("1 2")

    complete(endpoint(serve(script), attempts=6), MESSAGES)
    assert pauses == [7, 2, 60, 8, 16]


def test_a_slow_endpoint_is_given_up(serve, endpoint, pauses):
    server = serve(lambda number, body: (None, 0.6))
    start = time.perf_counter()
    with pytest.raises(RequestFailed, match="timed out"):
        complete(endpoint(server, timeout=0.2, attempts=2), MESSAGES)
    assert time.perf_counter() - start < 3
    assert pauses == [1]


def test_an_endpoint_that_is_not_there_ends_the_run_at_once(endpoint, serve):
    server = serve(lambda number, body: completion("1 2"))
    server.server_close()
    with pytest.raises(Q2AError, match="does not answer"):
        mark_items(endpoint(server, attempts=2), [ITEM] * 50)


def test_a_wrong_key_ends_the_run_and_is_not_shown(serve, endpoint, pauses):
    server = serve(lambda number, body: (401, {"error": f"Incorrect key {KEY}"}))
    with pytest.raises(Q2AError, match=r"status 401: .*\*\*\*") as caught:
        mark_items(endpoint(server), [ITEM])
    assert KEY not in str(caught.value)
    assert KEY not in repr(endpoint(server))
    assert pauses == []


def test_a_redirect_does_not_receive_the_key(serve, endpoint):
    other = serve(lambda number, body: completion("1 2"))
    server = serve(lambda number, body: (307, {}, {"Location": other.url}))
    with pytest.raises(Q2AError, match="status 307"):
        complete(endpoint(server), MESSAGES)
    assert other.requests == []


def test_keys_and_addresses_that_cannot_be_used(serve, endpoint, monkeypatch):
    server = serve(lambda number, body: completion("1 2"))
    complete(endpoint(server, key_variable=None, temperature=None), MESSAGES)
    _, headers, body = server.requests[0]
    assert "Authorization" not in headers
    assert "temperature" not in body
    for value, problem in (("", "is empty"), ("a\nb", "characters"), ("ключ", "characters")):
        monkeypatch.setenv("JUDGE_KEY", value)
        with pytest.raises(Q2AError, match=problem):
            complete(endpoint(server), MESSAGES)
    for url in ("localhost:8000", "file:///etc/passwd", "https://me:pass@host/v1", "http://[", ""):
        with pytest.raises(Q2AError, match="base URL") as caught:
            Endpoint(base_url=url, model="judge-1")
        assert "pass@" not in str(caught.value)


def test_a_refusal_is_not_asked_again(serve, endpoint, pauses):
    server = serve(lambda number, body: completion(None))
    with pytest.raises(Refused, match="empty"):
        complete(endpoint(server), MESSAGES)
    assert len(server.requests) == 1
