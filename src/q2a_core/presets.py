"""Named sizes: `tiny()` for tests, `mini()` for a laptop, `qwen2_audio_7b()` as published."""

from q2a_core.config import DecoderConfig, EncoderConfig, ModelConfig

MINI_VOCAB_SIZE = 1792
"""Entries of the mini tokenizer, padded to a multiple of 64."""


def tiny(*, vocab_size: int = 320, max_source_positions: int = 250) -> ModelConfig:
    """A model for tests: every part present, nothing larger than it must be; a 5 s window."""
    return ModelConfig(
        encoder=EncoderConfig(
            d_model=48,
            num_layers=2,
            num_heads=3,
            d_ff=96,
            max_source_positions=max_source_positions,
        ),
        decoder=DecoderConfig(
            vocab_size=vocab_size,
            d_model=32,
            num_layers=2,
            num_heads=4,
            num_kv_heads=2,
            d_ff=64,
            max_positions=2048,
        ),
        audio_token_id=3,
    )


def mini(*, vocab_size: int = MINI_VOCAB_SIZE) -> ModelConfig:
    """The model that a student trains: the architecture of the 7B, its 30 s window, under 3 M parameters.

    Encoder and decoder differ in width, so that the projector has something to do, and four query heads share two
    key-value heads. Both use heads of 32.
    """
    return ModelConfig(
        encoder=EncoderConfig(d_model=160, num_layers=4, num_heads=5, d_ff=640),
        decoder=DecoderConfig(
            vocab_size=vocab_size,
            d_model=128,
            num_layers=4,
            num_heads=4,
            num_kv_heads=2,
            d_ff=384,
            max_positions=4096,
        ),
        audio_token_id=3,
    )


def qwen2_audio_7b() -> ModelConfig:
    """Qwen/Qwen2-Audio-7B and -Instruct: 8,397,094,912 parameters. Build it on the meta device unless you mean it."""
    return ModelConfig(
        encoder=EncoderConfig(),
        decoder=DecoderConfig(
            vocab_size=156_032, d_ff=11_008, max_positions=8192, rms_norm_eps=1e-5
        ),
        audio_token_id=151_646,
    )
