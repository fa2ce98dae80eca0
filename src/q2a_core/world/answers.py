"""What is true to say about a grown scene: labels, captions and spoken replies, all from its events.

Every function takes the scene, or the event asked about, and never looks at samples.
"""

from q2a_core.world.scene import Event, Scene
from q2a_core.world.sounds import SOUND_CLASSES
from q2a_core.world.sounds.music import Tune, tempo_class
from q2a_core.world.sounds.vocal_sounds import VOCAL_CLASSES

NOUNS = {sound.label: sound.noun for sound in (*SOUND_CLASSES, *VOCAL_CLASSES)}
"""Label to what makes the sound."""
PHRASES = {sound.label: sound.phrase for sound in (*SOUND_CLASSES, *VOCAL_CLASSES)}
"""Label to what is heard."""
KINDS_OF_BIRD = frozenset(NOUNS[label] for label in ("rooster", "duck", "crow", "owl"))
"""Whoever hears one of them hears "a bird"."""
TIMES = ("no times", "once", "twice", "three times", "four times")
FEELINGS = {"anger": "angry", "joy": "happy", "sadness": "sad", "fear": "afraid", "neutral": "calm"}
VOICE = "a voice"
"""Whoever speaks, as a noun."""
ONLY_SILENCE = "I hear only silence."
ONLY_NOISE = "I hear only noise."
ONLY_VOICE = "I hear only a voice."
NO_SPEECH = "There is no speech in this clip."
NO_MUSIC = "There is no music in this clip."
NO_SOUND = "There is no such sound in this clip."
SAID = {"en": "You said: {}.", "de": "Du sagst: {}.", "zh": "你说：{}。"}
SYMPATHY = {
    "anger": "You sound angry.",
    "joy": "You sound happy.",
    "sadness": "You sound sad.",
    "fear": "You sound afraid.",
}


def noun_of(event: Event) -> str:
    """What is heard, as a noun: "a dog", "a piano", "a voice"."""
    if event.kind == "speech":
        return VOICE
    return with_article(event.label) if event.kind == "music" else NOUNS[event.label]


def nouns_of(scene: Scene) -> list[str]:
    """What is heard in a scene, event by event, and what is true of it too: where a crow calls, a bird does."""
    nouns = [noun_of(event) for event in scene.events]
    return [*nouns, NOUNS["bird"]] if KINDS_OF_BIRD & set(nouns) else nouns


def with_article(instrument: str) -> str:
    """An instrument as a noun."""
    if instrument == "drums":
        return instrument
    return f"{'an' if instrument[0] in 'aeiou' else 'a'} {instrument}"


def bare(noun: str) -> str:
    """A noun without its article: "a car horn" is a "car horn", "breaking glass" stays."""
    return noun.removeprefix("a ").removeprefix("an ")


def name_answer(event: Event) -> str:
    """The sentence that names a sound."""
    return f"This is the sound of {noun_of(event)}."


def sound_answer(scene: Scene) -> str:
    """What the sound of a scene is; a voice is none, and neither is noise."""
    other = next((event for event in scene.events if event.kind != "speech"), None)
    if other is not None:
        return name_answer(other)
    return ONLY_VOICE if scene.events else empty_answer(scene)


def empty_answer(scene: Scene) -> str:
    """What a clip without any event is."""
    return ONLY_SILENCE if scene.kind == "silence" else ONLY_NOISE


def transcript_answer(scene: Scene) -> str:
    """The words of the first person who speaks."""
    speech = scene.first("speech")
    return NO_SPEECH if speech is None else speech.label


def emotion_answer(scene: Scene, *, keyword: bool) -> str:
    """How the speaker feels, as a keyword or as a sentence."""
    speech = scene.first("speech")
    if speech is None or speech.spoken is None:
        return NO_SPEECH
    emotion = speech.spoken.emotion
    return emotion if keyword else f"The speaker sounds {FEELINGS[emotion]}."


def vocal_answer(scene: Scene, *, keyword: bool) -> str:
    """The vocal sound, as the data set's keyword or as a sentence."""
    vocal = scene.first("vocal")
    if vocal is None:
        return NO_SOUND
    return vocal.label.replace("_", " ") if keyword else name_answer(vocal)


def speaker_answer(scene: Scene) -> str:
    """Who speaks."""
    speech = scene.first("speech")
    if speech is None or speech.spoken is None:
        return NO_SPEECH
    return f"The speaker is a {speech.spoken.trait}."


def count_answer(count: int) -> str:
    """The sentence that counts."""
    return f"It happens {TIMES[count]}."


def first_answer(event: Event) -> str:
    """The sentence that says what comes first."""
    return f"First I hear {noun_of(event)}."


def is_there_answer(scene: Scene, noun: str) -> str:
    """Yes or no, and what there is instead."""
    return yes_there_is(noun) if noun in nouns_of(scene) else no_there_is_not(noun)


def yes_there_is(noun: str) -> str:
    """The answer to a question for a thing that is there."""
    return f"Yes, there is {noun}."


def no_there_is_not(noun: str) -> str:
    """The answer to a question for a thing that is not there."""
    return f"No, there is no {bare(noun)}."


def music_answer(tune: Tune) -> str:
    """The music in one sentence: instrument, tempo, mode and mood."""
    plays = f"I hear {with_article(tune.instrument)}."
    speed = tempo_class(tune.tempo_bpm)
    if tune.mode is None:
        return f"{plays} The music is {speed}."
    return f"{plays} The music is {speed} and {tune.mood}, in a {tune.mode} key."


def caption(scene: Scene) -> str:
    """One sentence about everything in the clip, in order of onset."""
    if not scene.events:
        return empty_answer(scene)
    parts = [_heard(event) for event in scene.events]
    joined = " while ".join(parts) if scene.overlap else ", then ".join(parts)
    return joined[0].upper() + joined[1:] + "."


def description(scene: Scene) -> str:
    """What the assistant says of a clip in which nobody speaks and nothing is asked."""
    if not scene.events:
        return empty_answer(scene)
    if len(scene.events) == 1 and scene.events[0].tune is not None:
        return music_answer(scene.events[0].tune)
    heard = [noun_of(event) for event in scene.events]
    return f"I hear {' and '.join(heard)}."


def reply_to_speech(scene: Scene) -> str:
    """What the assistant says to somebody who speaks without asking anything."""
    speech = scene.first("speech")
    assert speech is not None
    spoken = speech.spoken
    reply = SAID[spoken.language if spoken else "en"].format(speech.label)
    if spoken is not None and spoken.emotion in SYMPATHY:
        reply = f"{SYMPATHY[spoken.emotion]} {reply}"
    others = [noun_of(event) for event in scene.events if event.kind != "speech"]
    return f"{reply} I also hear {' and '.join(others)}." if others else reply


def reply_to_question(scene: Scene) -> str:
    """The answer to the question that is spoken in the scene."""
    speech = scene.first("speech")
    assert speech is not None
    assert speech.spoken is not None
    question = speech.spoken.question
    others = [event for event in scene.events if event.kind != "speech"]
    if question == "who":
        return speaker_answer(scene)
    if not others:
        return ONLY_VOICE
    if question == "count":
        counted = next((event for event in others if event.count is not None), None)
        return NO_SOUND if counted is None else count_answer(counted.count or 0)
    if question == "first":
        return first_answer(others[0])
    if question in ("which_instrument", "music_speed"):
        music = scene.first("music")
        return NO_MUSIC if music is None or music.tune is None else music_answer(music.tune)
    return name_answer(others[0]) if len(others) == 1 else description_of(others)


def description_of(events: list[Event]) -> str:
    """Several events in one sentence."""
    return f"I hear {' and '.join(noun_of(event) for event in events)}."


def _heard(event: Event) -> str:
    if event.kind == "speech":
        who = event.spoken.trait if event.spoken and event.spoken.trait else "person"
        return f"a {who} says something"
    if event.kind == "music":
        return f"{with_article(event.label)} plays"
    phrase = PHRASES[event.label]
    return phrase if event.count is None else f"{phrase} {TIMES[event.count]}"
