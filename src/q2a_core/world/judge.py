"""The judge of the mini world: 0 to 10 points for a reply, from the scene's truth, with reasons.

A stand-in for human annotators and for GPT-4 in AIR-Bench. A question asks for facts; each that the reply states earns
its share of ten points. What contradicts the truth costs, and a wrong main fact leaves two points at most, however
fluent the rest is. Words are compared, not meanings: it judges the mini models' plain English and nothing else.
"""

from dataclasses import dataclass

from q2a_core.world import answers
from q2a_core.world.answers import FEELINGS, NOUNS, TIMES, bare, with_article
from q2a_core.world.dialogues import Task
from q2a_core.world.scene import Event, Scene
from q2a_core.world.sounds.music import TUNE_INSTRUMENTS, tempo_class

WRONG_MAIN = 2.0
"""Most points of a reply that gets a main fact wrong or leaves all main facts out."""
INVENTED = 3.0
"""Points that each sound costs which is named and is not there."""
CHOICES: dict[str, dict[str, tuple[str, ...]]] = {
    "count": {str(number): (TIMES[number],) for number in range(1, 5)},
    "yes_no": {"yes": ("yes",), "no": ("no",)},
    "emotion": {name: (name, word) for name, word in FEELINGS.items()},
    "speaker": {"man": ("man",), "woman": ("woman",), "child": ("child",)},
    "tempo": {name: (name,) for name in ("slow", "medium", "fast")},
    "mode": {"major": ("major",), "minor": ("minor",)},
    "mood": {name: (name,) for name in ("happy", "calm", "sad", "tense")},
    "nothing": {
        "silence": ("only silence",),
        "noise": ("only noise",),
        "voice": ("only a voice",),
        "no speech": ("no speech",),
        "no music": ("no music",),
        "no sound": ("no such sound",),
    },
}
"""Closed questions: kind of fact, its values, and the words that state each."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fact:
    """Something that a good reply states."""

    kind: str
    """sound, first, words, or one of CHOICES."""
    value: str
    main: bool = True
    """A reply that gets it wrong is worth little."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """Points and why."""

    score: float  # 0 to 10
    reasons: tuple[str, ...]


def judge(scene: Scene, task: Task, reply: str) -> Verdict:
    """Points for a reply to the last question of `task` about `scene`."""
    facts = facts_of(scene, task)
    said = _without_denials(f" {plain(reply)} ")
    speech = scene.first("speech")
    quoted = speech.label if speech is not None and task.name not in QUOTING_NOTHING else ""
    own = _without_quotes(said, plain(quoted))
    reasons, earned, wrong_main = [], 0.0, False
    for fact in facts:
        share, reason = _weigh(fact, said if fact.kind == "words" else own)
        earned += share
        reasons.append(reason)
        wrong_main = wrong_main or (fact.main and share == 0.0)
    score = 10.0 * earned / len(facts)
    if wrong_main:
        score = min(score, WRONG_MAIN)
    for invented in _invented(scene, task, own):
        score -= INVENTED
        reasons.append(f"names {invented}, which is not there")
    return Verdict(score=round(max(score, 0.0), 2), reasons=tuple(reasons))


def facts_of(scene: Scene, task: Task) -> tuple[Fact, ...]:
    """What the true answer to a task states; the answer itself decides where the question is open."""
    name = task.name
    speech = scene.first("speech")
    if name in ("voice_chat", "answer_speech"):
        return _spoken_facts(scene)
    if name in ("transcribe", "translate"):
        if task.answer == answers.NO_SPEECH:
            return (Fact(kind="nothing", value="no speech"),)
        return (Fact(kind="words", value=task.answer),)
    if name in ("emotion", "speaker"):
        if speech is None or speech.spoken is None:
            return (Fact(kind="nothing", value="no speech"),)
        return (
            Fact(
                kind=name, value=speech.spoken.emotion if name == "emotion" else speech.spoken.trait
            ),
        )
    if name == "is_there":
        return (Fact(kind="yes_no", value=plain(task.answer).split()[0]),)
    if name == "count":
        return (Fact(kind="count", value=str(_counted(scene).count)),)
    if name == "first":
        return (Fact(kind="first", value=_label(scene.events[0])),)
    if name == "music":
        return _music_facts(scene)
    return _heard_facts(scene, speech_too=name == "caption")


def plain(text: str) -> str:
    """Lower case, words and digits only, single spaces; Chinese characters stand as they are."""
    return " ".join("".join(c if c.isalnum() else " " for c in text.lower()).split())


def _spoken_facts(scene: Scene) -> tuple[Fact, ...]:
    speech = scene.first("speech")
    if speech is None:
        music = scene.first("music")
        if len(scene.events) == 1 and music is not None:
            return _music_facts(scene)
        return _heard_facts(scene, speech_too=False)
    spoken = speech.spoken
    others = [event for event in scene.events if event.kind != "speech"]
    if spoken is None or not spoken.question:
        facts = [Fact(kind="words", value=speech.label)]
        if spoken is not None and spoken.emotion != "neutral":
            facts.append(Fact(kind="emotion", value=spoken.emotion, main=False))
        facts += [Fact(kind="sound", value=_label(event), main=False) for event in others]
        return tuple(facts)
    if spoken.question == "who":
        return (Fact(kind="speaker", value=spoken.trait),)
    if not others:
        return (Fact(kind="nothing", value="voice"),)
    if spoken.question == "count" and any(event.count for event in others):
        return (Fact(kind="count", value=str(_counted(scene).count)),)
    if spoken.question == "first":
        return (Fact(kind="first", value=_label(others[0])),)
    if spoken.question in ("which_instrument", "music_speed"):
        if scene.first("music") is None:
            return (Fact(kind="nothing", value="no music"),)
        return _music_facts(scene)
    return _heard_facts(scene, speech_too=False)


def _heard_facts(scene: Scene, *, speech_too: bool) -> tuple[Fact, ...]:
    if not scene.events:
        return (Fact(kind="nothing", value=scene.kind),)
    facts = [Fact(kind="sound", value=_label(e)) for e in scene.events if e.kind != "speech"]
    if speech_too and scene.first("speech") is not None:
        facts.append(Fact(kind="sound", value="speech"))
    if not facts:
        facts.append(Fact(kind="nothing", value="voice"))
    return tuple(facts)


def _music_facts(scene: Scene) -> tuple[Fact, ...]:
    music = scene.first("music")
    if music is None or music.tune is None:
        return (Fact(kind="nothing", value="no music"),)
    tune = music.tune
    facts = [
        Fact(kind="sound", value=tune.instrument),
        Fact(kind="tempo", value=tempo_class(tune.tempo_bpm), main=False),
    ]
    if tune.mode is not None and tune.mood is not None:
        facts.append(Fact(kind="mode", value=tune.mode, main=False))
        facts.append(Fact(kind="mood", value=tune.mood, main=False))
    return tuple(facts)


QUOTED_AFTER = "said says say saying heard word is means sagst sagt heißt 说 是"
QUOTING = frozenset(QUOTED_AFTER.split())
"""After these a reply quotes: "cannot help with that" does not say that the word was "with"."""


QUOTING_NOTHING = frozenset(("is_there", "emotion", "speaker"))
"""Questions whose replies are the model's own words, even where the same were said in the clip."""


def _without_quotes(said: str, words: str) -> str:
    """A reply less what it quotes from the clip: of a single word what starts it or follows a quoting word."""
    if len(words.split()) != 1:
        return said.replace(f" {words} ", " ") if words else said
    heard = said.split()
    kept = [
        word
        for place, word in enumerate(heard)
        if word != words or (place > 0 and heard[place - 1] not in QUOTING)
    ]
    return f" {' '.join(kept)} "


def _weigh(fact: Fact, said: str) -> tuple[float, str]:
    """Share of the fact's points that a reply earns, and why."""
    if fact.kind == "sound":
        named = any(f" {word} " in said for word in names_of(fact.value))
        return (1.0, f"names {fact.value}") if named else (0.0, f"leaves out {fact.value}")
    if fact.kind == "first":
        places = {label: place for label in NAMES if (place := _place(label, said)) is not None}
        first = min(places, key=places.__getitem__, default=None)
        right = first == fact.value
        return (1.0, f"{fact.value} first") if right else (0.0, f"first: {first}, not {fact.value}")
    if fact.kind == "words":
        return _weigh_words(fact.value, said)
    stated = [
        value
        for value, words in CHOICES[fact.kind].items()
        if any(f" {word} " in said for word in words)
    ]
    if stated == [fact.value]:
        return 1.0, f"{fact.kind} is {fact.value}"
    return 0.0, f"{fact.kind}: {' and '.join(stated) or 'nothing said'}, not {fact.value}"


def _weigh_words(truth: str, said: str) -> tuple[float, str]:
    """All words in order earn everything, half of them nothing; a single word must be quoted, not just occur."""
    wanted, heard = _units(plain(truth)), _units(said)
    if len(wanted) == 1:
        heard = [
            word
            for place, word in enumerate(heard)
            if place == 0 or heard[place - 1] in QUOTING or heard[place - 1] == word
        ]
    missing = len(wanted) - _longest_common(wanted, heard)
    share = max(0.0, 1.0 - 2.0 * missing / max(len(wanted), 1))
    return share, "all words" if not missing else f"{missing} of {len(wanted)} words missing"


def _units(text: str) -> list[str]:
    """Words; Chinese characters one by one."""
    return "".join(f" {c} " if "\u4e00" <= c <= "\u9fff" else c for c in text).split()


def _longest_common(one: list[str], two: list[str]) -> int:
    """Length of the longest common subsequence."""
    row = [0] * (len(two) + 1)
    for item in one:
        above = row[:]
        for place, other in enumerate(two):
            row[place + 1] = (
                above[place] + 1 if item == other else max(row[place], above[place + 1])
            )
    return row[-1]


def _without_denials(said: str) -> str:
    """ "There is no dog" does not name a dog."""
    for names in NAMES.values():
        for name in names:
            said = said.replace(f" no {name} ", " no ")
    return said


def _invented(scene: Scene, task: Task, said: str) -> list[str]:
    """Sounds that the reply names and the scene does not have."""
    if task.name in ("transcribe", "translate", "is_there", "emotion", "speaker"):
        return []
    there = {_label(event) for event in scene.events}
    return [
        label
        for label in NAMES
        if label not in there and label != "speech" and _place(label, said) is not None
    ]


def names_of(label: str) -> tuple[str, ...]:
    """The words that name a sound, a vocal sound, an instrument or speech."""
    return NAMES[label]


def _names() -> dict[str, tuple[str, ...]]:
    names = {label: (bare(noun),) for label, noun in NOUNS.items()}
    names |= {name: (bare(with_article(name)),) for name in TUNE_INSTRUMENTS}
    phrases = {
        "keyboard": ("keyboard", "typing"),
        "knocking": ("knocking", "knocks"),
        "glass": ("breaking glass", "glass breaking", "glass"),
        "horn": ("car horn", "horn"),
        "laughter": ("laughter", "laughing"),
        "sigh": ("sigh", "sighing"),
        "cough": ("cough", "coughing"),
        "throat_clearing": ("throat clearing", "clearing their throat"),
        "sneeze": ("sneeze", "sneezing"),
        "sniff": ("sniff", "sniffing"),
        "speech": ("voice", "person", "man", "woman", "child", "says", "speaks", "you said"),
    }
    return names | phrases


NAMES = _names()
"""Label to the words that name it."""


def _place(label: str, said: str) -> int | None:
    """Where a reply first names a label."""
    places = [place for word in NAMES[label] if (place := said.find(f" {word} ")) >= 0]
    return min(places, default=None)


def _label(event: Event) -> str:
    return "speech" if event.kind == "speech" else event.label


def _counted(scene: Scene) -> Event:
    return next(event for event in scene.events if event.count is not None)
