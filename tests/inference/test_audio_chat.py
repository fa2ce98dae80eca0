"""AudioChat, the one object that faces hold: turns, streams, forks, limits, and what an error leaves behind."""

import gc
import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch

from q2a_core import AudioChat, load_waveform
from q2a_core.audio import Waveform
from q2a_core.errors import (
    AudioError,
    BackendError,
    ChatError,
    CheckpointError,
    TooLongError,
)

RATE = 16_000
WINDOW = 5 * RATE


@pytest.fixture(scope="module")
def opened(tiny_checkpoint) -> AudioChat:
    return AudioChat.from_pretrained(tiny_checkpoint)


@pytest.fixture
def chat(opened) -> AudioChat:
    return opened.fork()


def noise(seconds: float = 0.8, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(0, 0.1, size=round(seconds * RATE)).astype(np.float32)


def ask(chat: AudioChat, audio=None, text=None, **options):
    if audio is not None:
        options.setdefault("sample_rate", RATE)
    return chat.ask(audio, text, max_new_tokens=options.pop("max_new_tokens", 8), **options)


def same(first, second) -> bool:
    return (first.text, first.token_ids, first.logps) == (
        second.text,
        second.token_ids,
        second.logps,
    )


def state(chat: AudioChat):
    return deepcopy(chat.messages), len(chat._audio_embeds), chat.last_reply


def test_under_autocast_it_answers_clips_and_goes_on(chat):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        first = ask(chat, noise(), "What is this sound?")
        second = ask(chat, text="Are you sure?")
    assert len(first.logps) == len(first.token_ids) >= 1
    assert all(logp <= 0 for logp in (*first.logps, *second.logps))


@pytest.mark.filterwarnings("ignore:.*deprecated")
def test_a_dynamically_quantised_model_answers(chat):
    model = torch.ao.quantization.quantize_dynamic(chat.model, {torch.nn.Linear})
    reply = ask(AudioChat(chat.checkpoint, model), noise(), "What is this sound?")
    assert len(reply.logps) == len(reply.token_ids) >= 1


def test_a_reply_says_how_it_came_about(chat):
    reply = ask(chat, noise(), "What is this sound?", seed=7)
    assert chat.last_reply is reply
    assert 1 <= len(reply.token_ids) <= 8
    assert len(reply.logps) == len(reply.token_ids)
    assert all(logp <= 0 for logp in reply.logps)
    assert not set(reply.settings.stop_ids) & set(reply.token_ids)
    assert reply.text == chat.checkpoint.chat_format.tokenizer.decode(reply.token_ids)
    assert reply.seed == 7
    assert reply.settings.max_new_tokens == 8
    assert reply.prompt.endswith("<|im_start|>assistant\n")
    assert "Audio 1: <|audio_bos|><|AUDIO|><|audio_eos|>\nWhat is this sound?" in reply.prompt
    assert reply.timings.time_to_first_token > 0
    assert reply.timings.tokens_per_second > 0
    assert reply.confidence == pytest.approx(float(np.exp(np.mean(reply.logps))))


def test_the_dialogue_goes_on(chat):
    first = ask(chat, noise(), "What is this?")
    ask(chat, None, "And again?")
    third = ask(chat, noise(seed=1))
    assert [message["role"] for message in chat.messages] == ["user", "assistant"] * 3
    assert chat.messages[1]["content"] == first.text
    assert third.prompt.count("<|AUDIO|>") == 2
    assert "Audio 2:" in third.prompt
    assert "And again?" in third.prompt
    assert len(chat._audio_embeds) == 2


def test_earlier_clips_still_speak(opened):
    """The second turn's answer depends on the first turn's clip, though no clip is given again."""
    replies = []
    for seed in (0, 1):
        chat = opened.fork()
        chat.ask(noise(3, seed), sample_rate=RATE, max_new_tokens=1, temperature=0.0)
        chat.messages[-1]["content"] = "A dog."
        replies.append(ask(chat, None, "And?"))
    assert replies[0].logps != replies[1].logps


def test_reset_and_fork_begin_anew(chat):
    first = ask(chat, noise(), "What?")
    ask(chat, None, "More?")
    other = chat.fork()
    assert other.messages == []
    assert other.model is chat.model
    assert same(ask(other, noise(), "What?"), first)
    assert len(chat.messages) == 4
    chat.reset()
    assert same(ask(chat, noise(), "What?"), first)


def test_a_system_prompt_of_ones_own(tiny_checkpoint, opened):
    chat = AudioChat(opened.checkpoint, opened.model, system="Answer in German.")
    reply = ask(chat, noise())
    assert reply.prompt.startswith("<|im_start|>system\nAnswer in German.<|im_end|>")
    assert ask(chat.fork(), None, "Hi").prompt.startswith("<|im_start|>system\nAnswer in German.")
    chat.reset()
    assert chat.messages == [{"role": "system", "content": "Answer in German."}]


def test_a_system_prompt_that_is_no_text(tiny_checkpoint):
    for system in (5, "hei\udcdft"):
        with pytest.raises(ChatError, match="the system prompt"):
            AudioChat.from_pretrained(tiny_checkpoint, system=system)


def test_voice_chat_is_a_clip_without_text(opened):
    silent_text = [ask(opened.fork(), noise(), text) for text in (None, "", "  \n")]
    assert all(same(silent_text[0], reply) for reply in silent_text)
    assert silent_text[0].prompt.endswith("<|audio_eos|>\n<|im_end|>\n<|im_start|>assistant\n")


def test_stream_is_ask_in_pieces(opened):
    expected = ask(opened.fork(), noise(), "What?", max_new_tokens=16)
    chat = opened.fork()
    pieces = list(chat.stream(noise(), "What?", sample_rate=RATE, max_new_tokens=16))
    assert "".join(pieces) == expected.text
    assert chat.last_reply is not None
    assert same(chat.last_reply, expected)


def test_a_stream_that_is_left_early_keeps_the_partial_turn(opened):
    whole = ask(opened.fork(), noise(), "What?", max_new_tokens=16)
    chat = opened.fork()
    stream = chat.stream(noise(), "What?", sample_rate=RATE, max_new_tokens=16)
    heard = next(stream)
    stream.close()
    assert chat.last_reply is not None
    assert whole.text.startswith(heard)
    assert 1 <= len(chat.last_reply.token_ids) < 16
    assert chat.messages[-1] == {"role": "assistant", "content": chat.last_reply.text}
    assert ask(chat, None, "Go on.").prompt.count("assistant\n") == 2


@pytest.mark.parametrize("how", ["close", "collect", "to the end"])
def test_a_stream_left_open_undoes_no_later_turn_and_no_reset(chat, how):
    for later in (lambda: chat.ask(text="And now?", max_new_tokens=2), chat.reset):
        stream = chat.stream(text="Hello", min_new_tokens=4, max_new_tokens=4)
        next(stream)
        reply = later()
        messages = list(chat.messages)
        if how == "close":
            stream.close()
        elif how == "to the end":
            list(stream)
        del stream
        gc.collect()
        assert chat.messages == messages
        assert reply is None or chat.last_reply is reply
        chat.reset()


@pytest.mark.parametrize("how", ["reset", "ask"])
def test_what_comes_while_the_clips_are_encoded_is_newer(chat, how, monkeypatch):
    """Threads may share a chat: a turn whose prompt was made before it goes on from a dialogue that is over."""
    chat.ask(text="Hello", max_new_tokens=2)
    encode = chat._encode

    def meanwhile(waveforms):
        monkeypatch.undo()
        chat.reset() if how == "reset" else chat.ask(text="And now?", max_new_tokens=2)
        after.append(list(chat.messages))
        return encode(waveforms)

    after: list = []
    monkeypatch.setattr(chat, "_encode", meanwhile)
    assert ask(chat, noise(), "What?").token_ids
    assert chat.messages == after[0]


def test_seeds_may_be_numpys_and_nothing_else(chat):
    chat.ask(text="Hello", seed=np.int64(3), max_new_tokens=1)
    assert chat.last_reply.seed == 3
    with pytest.raises(ChatError, match=r"seed is 1\.5"):
        chat.ask(text="Hello", seed=1.5)


def test_a_stream_nobody_listens_to_changes_nothing(chat):
    ask(chat, noise())
    before = state(chat)
    chat.stream(None, "What?", max_new_tokens=4)
    assert state(chat) == before


def test_seeds_repeat_under_temperature(opened):
    def reply(seed: int):
        return ask(opened.fork(), noise(), "What?", temperature=1.5, top_k=0, seed=seed)

    assert same(reply(3), reply(3))
    assert len({tuple(reply(seed).token_ids) for seed in range(5)}) > 1


def test_min_and_max_new_tokens(opened):
    assert len(ask(opened.fork(), noise(), min_new_tokens=6).token_ids) >= 6
    assert len(ask(opened.fork(), noise(), max_new_tokens=1).token_ids) <= 1


def test_clips_of_every_form(opened, tmp_path):
    """The same sound as array, list of numbers, tensor, array-like, Waveform, bytes, path and open file."""
    from q2a_core.audio import wav_bytes

    class ArrayLike:
        def __array__(self, dtype=None, copy=None) -> np.ndarray:
            return samples

    samples = np.round(noise() * 32_768) / 32_768
    samples = samples.astype(np.float32)
    waveform = load_waveform(samples, sample_rate=RATE)
    content = wav_bytes(samples)
    (tmp_path / "clip.wav").write_bytes(content)
    expected = ask(opened.fork(), samples, "What?")
    numbers = list(samples)  # NumPy's, which are no floats of Python's
    for clip in (samples.tolist(), numbers, torch.from_numpy(samples), ArrayLike(), waveform):
        assert same(ask(opened.fork(), clip, "What?"), expected)
    with (tmp_path / "clip.wav").open("rb") as file:
        for clip in (content, tmp_path / "clip.wav", str(tmp_path / "clip.wav"), file):
            reply = opened.fork().ask(clip, "What?", max_new_tokens=8)
            assert same(reply, expected)


def test_several_clips_in_one_turn(opened, tmp_path):
    from q2a_core.audio import write_wav

    write_wav(tmp_path / "b.wav", noise(seed=1))
    clips = [noise(), tmp_path / "b.wav"]
    reply = opened.fork().ask(
        audio=clips, sample_rate=RATE, text="Which is louder?", max_new_tokens=4
    )
    assert "Audio 1:" in reply.prompt
    assert "Audio 2:" in reply.prompt
    one_list = ask(opened.fork(), [noise()], "What?")
    assert same(one_list, ask(opened.fork(), (noise(),), "What?"))
    assert same(one_list, ask(opened.fork(), noise(), "What?"))


def test_every_clip_has_as_many_placeholders_as_it_has_tokens(chat):
    """In their order, those of earlier turns before those of this one: the sum alone would fit any order."""
    ask(chat, [noise(0.4), noise(1.2)], "Which is longer?")
    prompt = chat.prompt(noise(0.8), "And this?", sample_rate=RATE)
    is_audio = np.array(prompt.ids) == chat.checkpoint.config.audio_token_id
    edges = np.flatnonzero(np.diff(is_audio, prepend=False, append=False))
    assert (edges[1::2] - edges[::2]).tolist() == [10, 30, 20]
    assert [len(clip) for clip in prompt.audio_embeds] == [10, 30, 20]


def test_a_file_beside_an_array_keeps_its_own_rate(opened, tmp_path):
    from q2a_core.audio import write_wav

    write_wav(tmp_path / "b.wav", noise(seed=1))
    at_8_khz = noise()[::2]
    prompt = opened.prompt([at_8_khz, tmp_path / "b.wav"], "Which?", sample_rate=8_000)
    assert [len(clip) for clip in prompt.audio_embeds] == [20, 20]


def test_no_clips_is_a_text_turn(opened):
    assert same(ask(opened.fork(), [], "Hello"), ask(opened.fork(), None, "Hello"))


def test_too_long_is_refused_with_the_remedy(chat):
    with pytest.raises(TooLongError, match=r"lasts 12 s; .* 5 s at once.*have it split"):
        ask(chat, noise(12), "What?")
    assert chat.messages == []


@pytest.mark.parametrize("extra", [1, 100, 321, 40_000])
def test_split_hears_a_long_clip_as_several(opened, extra):
    samples = noise((2 * WINDOW + extra) / RATE)
    chat = opened.fork()
    reply = ask(chat, samples, "What?", split="window")
    assert reply.prompt.count("<|AUDIO|>") == 3
    assert any("cut into 3 clips" in notice for notice in reply.notices)
    assert len(set(reply.notices)) == len(reply.notices), "what holds for all pieces is told once"
    rest = max(extra, 321)
    cuts = [samples[:WINDOW], samples[WINDOW:-rest], samples[-rest:]]
    assert same(reply, ask(opened.fork(), cuts, "What?"))


def test_what_was_noticed_in_a_clip_is_told_of_its_pieces(opened):
    prompt = opened.prompt(np.zeros(2 * WINDOW), sample_rate=RATE, split="window")
    assert prompt.notices == ("the clip is silent", "the array was cut into 2 clips")


def test_split_leaves_short_clips_whole(opened):
    assert same(ask(opened.fork(), noise(5), split="window"), ask(opened.fork(), noise(5)))


def changed(samples: np.ndarray) -> Waveform:
    return replace(load_waveform(noise(), sample_rate=RATE), samples=samples)


BAD_TURNS = {
    "a waveform cut to nothing": ({"audio": changed(np.zeros(0))}, AudioError, "is empty"),
    "a waveform cut too short": ({"audio": changed(np.zeros(200))}, AudioError, "at least 321"),
    "a waveform with NaN": ({"audio": changed(np.full(9000, np.nan))}, AudioError, "NaN"),
    "a waveform of whole numbers": (
        {"audio": changed(np.zeros(9000, np.int16))},
        AudioError,
        "expected floats",
    ),
    "a waveform beyond full scale": ({"audio": changed(np.full(9000, 3e4))}, AudioError, "scale"),
    "a waveform of two channels": ({"audio": changed(np.zeros((9000, 2)))}, AudioError, "mono"),
    "nothing at all": ({}, ChatError, "neither a clip nor text"),
    "blank text alone": ({"text": "  "}, ChatError, "neither a clip nor text"),
    "no sample rate": ({"audio": np.zeros(9000)}, AudioError, "sample_rate"),
    "too short": ({"audio": np.zeros(320), "sample_rate": RATE}, AudioError, "at least 321"),
    "no samples": ({"audio": np.zeros(0), "sample_rate": RATE}, AudioError, "empty"),
    "not a number": ({"audio": np.full(9000, np.nan), "sample_rate": RATE}, AudioError, "NaN"),
    "no such file": ({"audio": "absent.wav"}, AudioError, "absent.wav"),
    "not a clip": ({"audio": 3.5}, AudioError, "expected a path"),
    "bytes of nothing": ({"audio": b"RIFF"}, AudioError, "."),
    "second clip bad": (
        {"audio": [np.ones(9000) / 2, np.zeros(3)], "sample_rate": RATE},
        AudioError,
        "at least 321",
    ),
    "unknown split": ({"text": "a", "split": "half"}, ChatError, "expected None"),
    "hot": ({"text": "a", "temperature": -1}, ChatError, "temperature is -1"),
    "no tokens": ({"text": "a", "max_new_tokens": 0}, ChatError, "max_new_tokens is 0"),
    "text that is no text": ({"text": "a", "top_p": "x"}, ChatError, "top_p is 'x'"),
    "a number for a text": ({"text": 5}, ChatError, "the text is 5 of type int"),
    "bytes for a text": ({"text": b"x"}, ChatError, "the text is b'x' of type bytes"),
    "text that is no Unicode": ({"text": "hei\udcdft"}, ChatError, "expected valid Unicode"),
    "placeholder in the text": ({"text": "<|AUDIO|>"}, ChatError, "2 .* placeholders for 1 clips"),
    "longer than the context": ({"text": "dog " * 2500}, ChatError, "Begin a new chat"),
}


@pytest.mark.parametrize("name", BAD_TURNS)
def test_bad_turns_leave_the_dialogue_as_it_was(name, chat):
    options, error, message = BAD_TURNS[name]
    ask(chat, noise(), "What?")
    before = state(chat)
    for act in (chat.ask, chat.stream):
        with pytest.raises(error, match=message):
            act(**options)
        assert state(chat) == before
    expected = chat.fork()
    ask(expected, noise(), "What?")
    assert same(ask(chat, None, "More?"), ask(expected, None, "More?"))


def test_an_error_while_decoding_leaves_the_dialogue_as_it_was(tiny_checkpoint):
    """Memory that runs out in the third step, say: the turn was not answered, so it did not happen."""
    chat = AudioChat.from_pretrained(tiny_checkpoint)
    ask(chat, noise(), "What?")
    before = state(chat)
    calls = iter(range(100))

    def fail_in_the_third_step(*_):
        if next(calls) == 2:
            raise RuntimeError("out of memory")

    hook = chat.model.register_forward_pre_hook(fail_in_the_third_step)
    with pytest.raises(RuntimeError, match="out of memory"):
        ask(chat, noise(seed=1), "And this?", min_new_tokens=8)
    hook.remove()
    assert state(chat) == before
    assert ask(chat, noise(seed=1), "And this?").prompt.count("<|AUDIO|>") == 2


def test_the_last_turn_may_fill_the_context(chat):
    """Room for fewer tokens than asked: the reply is shorter, the next turn is refused."""
    limit = chat.model.config.decoder.max_positions
    encode = chat.checkpoint.chat_format.tokenizer.encode
    around = len(encode(ask(chat.fork(), None, "7", max_new_tokens=1).prompt)) - 1
    digits = "7" * (limit - around - 8)  # one token each
    reply = chat.ask(None, digits, max_new_tokens=500, min_new_tokens=500)
    assert len(encode(reply.prompt)) == limit - 8
    assert len(reply.token_ids) == reply.settings.max_new_tokens == 8
    assert f"fills the {limit:,} that the model holds" in reply.notices[-1]
    with pytest.raises(ChatError, match=f"the model holds {limit}"):
        chat.ask(None, "And?")
    with pytest.raises(ChatError, match=f"is {limit} tokens long; the model holds {limit}"):
        chat.fork().ask(None, digits + 8 * "7")


def test_forks_in_threads_answer_as_they_do_alone(opened):
    """Two sessions on one model: no state is shared but the weights."""

    def dialogue(seed: int) -> list[tuple[list[int], list[float]]]:
        chat = opened.fork()
        replies = [
            ask(chat, noise(1 + seed, seed), "What?", temperature=1.0, seed=seed),
            ask(chat, None, "And?", temperature=1.0, seed=seed),
        ]
        return [(reply.token_ids, reply.logps) for reply in replies]

    expected = [dialogue(seed) for seed in range(4)]
    with ThreadPoolExecutor(max_workers=2) as pool:
        assert list(pool.map(dialogue, range(4))) == expected


def test_a_reply_that_the_limit_cut_says_so(opened):
    whole = ask(opened.fork(), noise(), "What?", max_new_tokens=5, min_new_tokens=5)
    assert whole.notices[-1] == (
        "the reply was cut at 5 tokens; a larger max_new_tokens lets it go on"
    )
    one = ask(opened.fork(), noise(), "What?", max_new_tokens=1, min_new_tokens=1)
    assert one.notices[-1].startswith("the reply was cut at 1 token;")
    stopping = opened.checkpoint.generation_config | {"eos_token_id": whole.token_ids[4]}
    checkpoint = replace(opened.checkpoint, generation_config=stopping)
    told = ask(
        AudioChat(checkpoint, opened.model), noise(), "What?", max_new_tokens=5, min_new_tokens=4
    )
    assert told.token_ids == whole.token_ids[:4]
    assert told.notices == (), "a stop token as the last one that is allowed ends it too"


def test_a_reply_that_the_listener_stopped_is_not_called_cut(opened):
    chat = opened.fork()
    pieces = chat.stream(noise(), "What?", sample_rate=RATE, min_new_tokens=8)
    next(pieces)
    pieces.close()
    assert chat.last_reply.token_ids
    assert chat.last_reply.notices == ()


def test_silence_is_answered_with_a_notice(chat):
    reply = ask(chat, np.zeros(RATE, dtype=np.float32))
    assert any("silen" in notice.lower() for notice in reply.notices)


def test_notices_of_the_checkpoint(tiny_checkpoint, tmp_path):
    directory = tmp_path / "tiny"
    shutil.copytree(tiny_checkpoint, directory)
    (directory / "about.json").write_text(json.dumps({"trained_seconds": 0.5}))
    path = directory / "generation_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"num_beams": 4}))
    reply = ask(AudioChat.from_pretrained(directory), noise())
    assert any("trained on clips up to 0.5 s" in notice for notice in reply.notices)
    assert any("num_beams=4" in notice for notice in reply.notices)
    assert len(set(reply.notices)) == len(reply.notices)
    within = ask(AudioChat.from_pretrained(directory), noise(0.5))
    assert not any("trained on clips" in notice for notice in within.notices)


def test_how_a_checkpoint_is_asked_is_told_once(chat, monkeypatch):
    monkeypatch.setattr(type(chat.checkpoint), "notices", ("asked in plain text",))
    assert "asked in plain text" in ask(chat, text="Hello").notices
    assert "asked in plain text" not in ask(chat, text="And?").notices


def test_a_length_in_the_generation_config_counts_the_prompt(opened):
    ids = opened.prompt(None, "Hello").ids
    values = {"max_length": len(ids) + 3, "eos_token_id": None}
    checkpoint = replace(opened.checkpoint, generation_config=values)
    assert len(AudioChat(checkpoint, opened.model).ask(text="Hello").token_ids) == 3


def replying(monkeypatch, ids: list[int]) -> None:
    """Every reply is these ids, whatever is asked."""
    steps = [([token], [-0.5]) for token in ids]
    monkeypatch.setattr("q2a_core.inference.turn.generate_steps", lambda *_, **__: iter(steps))


def test_a_reply_that_ends_inside_a_character_is_streamed_whole(chat, monkeypatch):
    tokenizer = chat.checkpoint.chat_format.tokenizer
    euro = tokenizer.encode("a€")
    assert len(euro) > 2
    replying(monkeypatch, euro[:-1])
    pieces = list(chat.stream(text="Hello"))
    assert "".join(pieces) == chat.last_reply.text == "a\ufffd"


def test_speed_is_that_of_the_tokens_after_the_first(chat, monkeypatch):
    """By a clock that goes on by a second whenever it is read: at the call, and at each token."""
    monkeypatch.setattr("time.perf_counter", map(float, range(100)).__next__)
    replying(monkeypatch, chat.checkpoint.chat_format.tokenizer.encode("abc")[:1] * 3)
    timings = chat.ask(text="Hello").timings
    assert timings.tokens_per_second == 1
    replying(monkeypatch, [5])
    assert chat.fork().ask(text="Hello").timings.tokens_per_second == 0


def test_more_clips_than_training_had_in_a_dialogue(tiny_checkpoint, tmp_path):
    directory = tmp_path / "tiny"
    shutil.copytree(tiny_checkpoint, directory)
    said = "this checkpoint was trained on one clip per dialogue; with more it guesses"

    def notices(chat, *turn):
        return [notice for notice in ask(chat, *turn).notices if "per dialogue" in notice]

    for about, expected in (({"trained_clips": 1}, [said]), ({}, []), ({"trained_clips": 2}, [])):
        (directory / "about.json").write_text(json.dumps(about))
        chat = AudioChat.from_pretrained(directory)
        assert notices(chat, noise(), "What?") == []
        assert notices(chat, None, "And how many times?") == []
        assert notices(chat, noise(seed=1), "And this?") == expected
        assert notices(chat, None, "Which is louder?") == expected, "both clips are still there"
        assert notices(chat.fork(), [noise(), noise(seed=1)], "Which?") == expected
        assert notices(chat.fork(), noise()) == []
    (directory / "about.json").write_text('{"trained_clips": 2}')
    three = ask(AudioChat.from_pretrained(directory), [noise()] * 3)
    assert "was trained on at most 2 clips per dialogue" in three.notices[0]


def test_half_precision(tiny_checkpoint):
    chat = AudioChat.from_pretrained(tiny_checkpoint, dtype="bfloat16")
    assert chat.model.projector.linear.weight.dtype == torch.bfloat16
    assert ask(chat, noise(), "What?").token_ids


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"device": "tpu9"}, BackendError, "unknown device 'tpu9'"),
        ({"device": "cuda:99"}, BackendError, "'cuda:99' was asked for"),
        ({"dtype": "int8"}, CheckpointError, "unknown dtype 'int8'"),
    ],
    ids=str,
)
def test_what_this_machine_has_not(tiny_checkpoint, options, error, message):
    with pytest.raises(error, match=message):
        AudioChat.from_pretrained(tiny_checkpoint, **options)
