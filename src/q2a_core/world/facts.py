"""The facts that a good reply states: what a question about a scene asks for, from the scene alone."""

from dataclasses import dataclass

from q2a_core.world import answers
from q2a_core.world.quotes import plain
from q2a_core.world.scene import Event, Scene
from q2a_core.world.sounds.music import tempo_class
from q2a_core.world.task import Task


@dataclass(frozen=True, kw_only=True, slots=True)
class Fact:
    """Something that a good reply states."""

    kind: str
    """sound, first, words, yes_no, or one of CHOICES."""
    value: str
    main: bool = True
    """A reply that gets it wrong is worth little."""


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
        return (Fact(kind="first", value=label_of(scene.events[0])),)
    if name == "music":
        return _music_facts(scene)
    event = scene.first("vocal" if name == "vocal" else "music")
    if name in ("vocal", "instrument") and event is not None:
        return (Fact(kind="sound", value=label_of(event)),)
    return _heard_facts(scene, speech_too=name == "caption")


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
        facts += [Fact(kind="sound", value=label_of(event), main=False) for event in others]
        return tuple(facts)
    if spoken.question == "who":
        return (Fact(kind="speaker", value=spoken.trait),)
    if not others:
        return (Fact(kind="nothing", value="voice"),)
    if spoken.question == "count" and any(event.count for event in others):
        return (Fact(kind="count", value=str(_counted(scene).count)),)
    if spoken.question == "first":
        return (Fact(kind="first", value=label_of(others[0])),)
    if spoken.question in ("which_instrument", "music_speed"):
        if scene.first("music") is None:
            return (Fact(kind="nothing", value="no music"),)
        return _music_facts(scene)
    return _heard_facts(scene, speech_too=False)


def _heard_facts(scene: Scene, *, speech_too: bool) -> tuple[Fact, ...]:
    if not scene.events:
        return (Fact(kind="nothing", value=scene.kind),)
    facts = [Fact(kind="sound", value=label_of(e)) for e in scene.events if e.kind != "speech"]
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


def label_of(event: Event) -> str:
    """What names an event: its class, or speech."""
    return "speech" if event.kind == "speech" else event.label


def _counted(scene: Scene) -> Event:
    return next(event for event in scene.events if event.count is not None)
