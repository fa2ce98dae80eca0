"""The model's dimensions as frozen records; `config_json.py` translates them from and to a `config.json`.

The defaults are those of transformers' Qwen2AudioEncoderConfig and Qwen2Config.
"""

from dataclasses import dataclass

from q2a_core.errors import CheckpointError
from q2a_core.lengths import CONV_STRIDE, HOP_LENGTH, SAMPLE_RATE, conv_mel_frames


@dataclass(frozen=True, kw_only=True, slots=True)
class EncoderConfig:
    """Dimensions of the audio encoder."""

    num_mel_bins: int = 128
    """Mel channels (M)."""
    d_model: int = 1280
    """Width (C)."""
    num_layers: int = 32
    """Transformer blocks."""
    num_heads: int = 20
    """Attention heads."""
    d_ff: int = 5120
    """Hidden width of the feed-forward."""
    max_source_positions: int = 1500
    """Encoder frames in one window; 1500 is 30 s."""

    def __post_init__(self) -> None:
        _positive(self)
        if self.d_model % self.num_heads:
            raise CheckpointError(
                f"encoder width {self.d_model} is not a multiple of its {self.num_heads} heads"
            )
        if self.d_model % 2:
            raise CheckpointError(
                f"encoder width {self.d_model} is odd; sinusoidal positions need an even width"
            )

    @property
    def head_dim(self) -> int:
        """Width of one head (Dh)."""
        return self.d_model // self.num_heads

    @property
    def max_mel_frames(self) -> int:
        """Mel frames in one window (F); 3000 is 30 s."""
        return CONV_STRIDE * self.max_source_positions

    @property
    def max_samples(self) -> int:
        """Samples in one window (S)."""
        return self.max_mel_frames * HOP_LENGTH

    @property
    def max_seconds(self) -> float:
        """Seconds in one window."""
        return self.max_samples / SAMPLE_RATE

    def conv_mel_frames(self, mel_frames: int) -> int:
        """Mel frames that the convolutions read for a clip, never beyond the window."""
        return min(conv_mel_frames(mel_frames), self.max_mel_frames)


@dataclass(frozen=True, kw_only=True, slots=True)
class DecoderConfig:
    """Dimensions of the text decoder, a Qwen2 language model."""

    vocab_size: int = 151_936
    """Entries of the embedding and of the logits (V); may exceed the tokenizer's."""
    d_model: int = 4096
    """Width (D)."""
    num_layers: int = 32
    """Transformer blocks."""
    num_heads: int = 32
    """Query heads (H)."""
    num_kv_heads: int = 32
    """Key and value heads (Hkv); fewer than `num_heads` is grouped-query attention."""
    d_ff: int = 22_016
    """Hidden width of the SwiGLU feed-forward."""
    max_positions: int = 32_768
    """Longest sequence (T) that the rotary table is meant for."""
    rope_theta: float = 10_000.0
    """Base of the rotary frequencies."""
    rms_norm_eps: float = 1e-6
    """Added to the mean square in RMSNorm."""
    tie_word_embeddings: bool = False
    """Logits use the embedding matrix; every published checkpoint is untied."""

    def __post_init__(self) -> None:
        _positive(self)
        if self.d_model % self.num_heads:
            raise CheckpointError(
                f"decoder width {self.d_model} is not a multiple of its {self.num_heads} heads"
            )
        if self.num_heads % self.num_kv_heads:
            raise CheckpointError(
                f"{self.num_heads} query heads cannot share {self.num_kv_heads} key-value heads evenly"
            )
        if self.head_dim % 2:
            raise CheckpointError(
                f"head width {self.head_dim} is odd; rotary positions turn pairs of channels"
            )

    @property
    def head_dim(self) -> int:
        """Width of one head (Dh)."""
        return self.d_model // self.num_heads

    def kv_bytes(self, positions: int, *, itemsize: int) -> int:
        """Bytes of keys and values that `positions` positions keep, at `itemsize` bytes a number."""
        return 2 * self.num_layers * self.num_kv_heads * self.head_dim * itemsize * positions


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelConfig:
    """The whole model: encoder, decoder, and the token that stands for one audio token."""

    encoder: EncoderConfig
    """Audio encoder."""
    decoder: DecoderConfig
    """Text decoder; the projector maps the encoder's width to the decoder's."""
    audio_token_id: int = 151_646
    """Id of `<|AUDIO|>`, the placeholder."""

    def __post_init__(self) -> None:
        if not 0 <= self.audio_token_id < self.decoder.vocab_size:
            raise CheckpointError(
                f"audio token id {self.audio_token_id} is outside the vocabulary of {self.decoder.vocab_size} entries"
            )


def _positive(config: EncoderConfig | DecoderConfig) -> None:
    for name in type(config).__slots__:
        value = getattr(config, name)
        if isinstance(value, bool):
            continue
        # far above any real model, and low enough that a damaged file asks for neither hours nor overflow
        most = 1000 if name == "num_layers" else 10**12 if name == "rope_theta" else 10**7
        if not 0 < value <= most:
            raise CheckpointError(f"{name} is {value}; expected a positive number up to {most:,}")
