"""The data card: what the grown world holds and how often, counted from its own tables and from a plan of speech."""

from collections import Counter

from q2a_core.world.scene_shares import STAGE_SHARES
from q2a_core.world.sounds import SOUND_CLASSES
from q2a_core.world.sounds.music import METRES, MODES, TEMPOS, TUNE_INSTRUMENTS
from q2a_core.world.sounds.vocal_sounds import VOCAL_CLASSES
from q2a_core.world.speech import plan_utterances
from q2a_core.world.speech.lexicon import GERMAN, MANDARIN, english_words
from q2a_core.world.speech.utterances import Utterance
from q2a_core.world.speech.voices import Split
from q2a_core.world.speech.voices_grown import grown_voices
from q2a_core.world.wordings import PROMPTS

PLANNED = 4000
"""Utterances of each split that are planned, not spoken, to count them."""


def data_card() -> str:
    """The card as Markdown; the same on every machine."""
    splits: tuple[Split, Split] = ("train", "test")
    plans: dict[Split, list[Utterance]] = {
        split: plan_utterances(split, count=PLANNED, seed=0) for split in splits
    }
    sections = [
        "# What the mini world holds",
        "All of it is made, none of it recorded: speech by eSpeak NG (and flite, RHVoice, Pico where a run says so), "
        "sounds and music by formulas. Counted by `q2a synth --card`.",
        _words(),
        _speech(plans),
        _sounds(),
        _scenes(),
        "## Not in it\n\nReal voices, real rooms, real animals, songs, other languages, talk of more than some nine "
        "words, people who speak at the same time.",
    ]
    return "\n\n".join(sections) + "\n"


def _words() -> str:
    rows = [
        ("English", len(english_words())),
        ("German", sum(map(len, GERMAN.values()))),
        ("Mandarin", sum(map(len, MANDARIN.values()))),
    ]
    return "## Words\n\n" + _table(("language", "words"), rows)


def _speech(plans: dict[Split, list[Utterance]]) -> str:
    rows = []
    for split, plan in plans.items():
        for name, values in (
            ("language", [item.language for item in plan]),
            ("emotion", [item.emotion for item in plan]),
            ("speaker", [item.trait or "not said" for item in plan]),
            ("question to the assistant", [item.question or "none" for item in plan]),
        ):
            counted = Counter(values).most_common()
            shares = ", ".join(f"{value} {count / len(plan):.0%}" for value, count in counted)
            rows.append((split, name, shares))
        voices = sum(len(grown_voices(split, language)) for language in ("en", "de", "zh"))
        texts = len({item.text for item in plan})
        rows.append(
            (split, "voices", f"{voices} accents times variants; pitch and size vary besides")
        )
        rows.append((split, "different texts", f"{texts} in {len(plan)} utterances"))
    return "## Speech\n\n" + _table(("split", "what", "shares"), rows)


def _sounds() -> str:
    rows = [
        ("everyday sounds", len(SOUND_CLASSES), ", ".join(item.label for item in SOUND_CLASSES)),
        (
            "vocal sounds",
            len(VOCAL_CLASSES),
            ", ".join(item.label.replace("_", " ") for item in VOCAL_CLASSES),
        ),
        ("instruments", len(TUNE_INSTRUMENTS), ", ".join(TUNE_INSTRUMENTS)),
        ("tempo", len(TEMPOS), ", ".join(f"{name} {a}-{b}" for name, (a, b) in TEMPOS.items())),
        ("mode", len(MODES), ", ".join(MODES)),
        ("metre", len(METRES), ", ".join(map(str, METRES))),
    ]
    return "## Sounds and music\n\n" + _table(("what", "classes", "names"), rows)


def _scenes() -> str:
    kinds = list(STAGE_SHARES["sft"])
    rows = [
        (kind, *(f"{shares.get(kind, 0.0):.1%}" for shares in STAGE_SHARES.values()))
        for kind in kinds
    ]
    asked = [(name, 1 + len(item.train), len(item.held_out)) for name, item in PROMPTS.items()]
    return (
        "## Scenes\n\n"
        + _table(("kind", *STAGE_SHARES), rows)
        + "\n\n## Questions\n\n"
        + _table(("task", "wordings in training", "held out"), asked)
    )


def _table(head: tuple[str, ...], rows: list[tuple]) -> str:
    lines = [f"| {' | '.join(head)} |", f"| {' | '.join('---' for _ in head)} |"]
    return "\n".join(lines + [f"| {' | '.join(map(str, row))} |" for row in rows])
