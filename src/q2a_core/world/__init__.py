"""The mini world: scenes of speech and sounds, their waveforms, and true dialogues about them."""
