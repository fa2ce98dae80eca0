"""The frame arithmetic of Qwen2-Audio: samples -> mel frames -> encoder frames -> audio tokens.

    16,000 samples/s --hop 160--> 100 mel frames/s --conv stride 2--> 50 encoder frames/s --pool 2--> 25 audio tokens/s

Every other file asks here: the chat text counts placeholders, the encoder masks, the merge checks and the figures label
their axes with these functions, so they cannot disagree. All take ints or integer tensors and use operators only.
The results are those of transformers' Qwen2AudioEncoder and WhisperFeatureExtractor.
"""

SAMPLE_RATE = 16_000
"""Samples per second that the model hears."""
N_FFT = 400
"""Samples per analysis window (25 ms)."""
HOP_LENGTH = 160
"""Samples between two mel frames (10 ms)."""
CONV_STRIDE = 2
"""Mel frames per encoder frame."""
POOL_STRIDE = 2
"""Encoder frames per audio token."""
SAMPLES_PER_TOKEN = HOP_LENGTH * CONV_STRIDE * POOL_STRIDE
"""Samples between two audio tokens (640, 40 ms)."""
MEL_FRAME_RATE = SAMPLE_RATE // HOP_LENGTH
"""Mel frames per second (100)."""
ENCODER_FRAME_RATE = MEL_FRAME_RATE // CONV_STRIDE
"""Encoder frames per second (50)."""
AUDIO_TOKEN_RATE = ENCODER_FRAME_RATE // POOL_STRIDE
"""Audio tokens per second (25)."""
ENCODER_FRAME_SECONDS = HOP_LENGTH * CONV_STRIDE / SAMPLE_RATE
"""Seconds between two encoder frames (0.02)."""
TOKEN_SECONDS = SAMPLES_PER_TOKEN / SAMPLE_RATE
"""Seconds between two audio tokens (0.04)."""
MIN_SAMPLES = 2 * HOP_LENGTH + 1
"""Fewest samples that yield one audio token (321, just over 20 ms)."""
RECEPTIVE_FIELD_SAMPLES = N_FFT + 6 * HOP_LENGTH
"""Samples that one audio token sees before attention mixes frames (1360, 85 ms): 7 mel frames through two
convolutions and the pool."""


def mel_frames(samples, hop_length=HOP_LENGTH):
    """Mel frames that cover `samples` samples; a started hop counts. Only an experiment gives another hop."""
    return (samples + hop_length - 1) // hop_length


def encoder_frames(mel_frames):
    """Encoder frames after the stride-2 convolution (kernel 3, padding 1)."""
    return (mel_frames - 1) // CONV_STRIDE + 1


def audio_tokens(mel_frames):
    """Audio tokens after the stride-2 pool; an odd last encoder frame is dropped."""
    return encoder_frames(mel_frames) // POOL_STRIDE


def conv_mel_frames(mel_frames):
    """Mel frames that the convolutions read for a clip of `mel_frames` frames.

    The last encoder frame looks one or two frames past the clip's end. Cutting them off would change the result, so the
    front end hands over this many frames, and the encoder needs none beyond them.
    """
    return CONV_STRIDE * encoder_frames(mel_frames) + 1


def tokens_of_samples(samples):
    """Audio tokens, and so placeholders, for a clip of `samples` samples."""
    return audio_tokens(mel_frames(samples))


def pieces(samples: int, window: int) -> list[tuple[int, int]]:
    """Samples [start, stop) of the pieces in which a clip is heard: of `window` samples each, but for the last.

    A rest too short for one token takes what it lacks from the piece before.
    """
    starts = list(range(0, samples, window)) or [0]
    if len(starts) > 1 and samples - starts[-1] < MIN_SAMPLES:
        starts[-1] = samples - MIN_SAMPLES
    return list(zip(starts, [*starts[1:], samples], strict=True))


def beyond(seconds: float, limit: float) -> str:
    """`seconds`, over `limit`, rounded to tenths where that shows it, else finer: 31 s, 30.1 s, 30.0001 s over 30."""
    places = next((n for n in range(1, 6) if round(seconds, n) > limit), 6)
    return f"{seconds:,.{places}f}".removesuffix(".0") + " s"


def token_span(token: int) -> tuple[int, int]:
    """Samples [start, stop) of the 40 ms stride that audio token `token` stands for."""
    return token * SAMPLES_PER_TOKEN, (token + 1) * SAMPLES_PER_TOKEN


def token_receptive_field(
    token: int, *, hop_length: int = HOP_LENGTH, n_fft: int = N_FFT
) -> tuple[int, int]:
    """Samples [start, stop) that audio token `token` sees without attention; may begin before 0 or end past the
    clip."""
    centre_first, centre_last = 4 * token - 2, 4 * token + 4
    return centre_first * hop_length - n_fft // 2, centre_last * hop_length + n_fft // 2


def token_context(token: int, samples: int, window: int) -> tuple[int, int]:
    """Samples [start, stop) that audio token `token` sees through the encoder's attention, which looks both ways.

    That is the whole clip of `samples` samples, or of a longer one the piece it was cut into.
    """
    parts = pieces(samples, window)
    for start, stop in parts:
        token -= tokens_of_samples(stop - start)
        if token < 0:
            return start, stop
    return parts[-1]


def mel_frame_field(
    frame: int, *, hop_length: int = HOP_LENGTH, n_fft: int = N_FFT
) -> tuple[int, int]:
    """Samples [start, stop) of the analysis window of mel frame `frame`; may begin before 0 or end past the clip."""
    return frame * hop_length - n_fft // 2, frame * hop_length + n_fft // 2
