"""Everything in the mini world that is heard and not said: everyday sounds, vocal sounds, music.

everyday; animals, birds, frogs, signals, things               the classes, and what each is made of
vocal_sounds; vocal_tract, vocal_laughs, vocal_breaths, ...    sounds that people make without words
music; music_score, instruments, instruments_drums             tunes whose tempo, mode and metre are known
acoustics, throat                                              the physical parts that all are built from
"""

from q2a_core.world.sounds.everyday import (
    BACKGROUND_KINDS,
    MAX_COUNT,
    PEAK,
    ROWS,
    SOUND_CLASSES,
    Sound,
    SoundClass,
    background,
    is_countable,
    synthesise_row,
    synthesise_sound,
)

__all__ = [
    "BACKGROUND_KINDS",
    "MAX_COUNT",
    "PEAK",
    "ROWS",
    "SOUND_CLASSES",
    "Sound",
    "SoundClass",
    "background",
    "is_countable",
    "synthesise_row",
    "synthesise_sound",
]
