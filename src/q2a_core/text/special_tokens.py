"""Tokens that stand for no text: where a turn and a clip begin and end, and what a tag of Qwen-Audio says."""

AUDIO_TOKEN = "<|AUDIO|>"
"""Placeholder; one per 40 ms audio token after expansion."""
AUDIO_BOS = "<|audio_bos|>"
AUDIO_EOS = "<|audio_eos|>"
END_OF_TEXT = "<|endoftext|>"
IM_START = "<|im_start|>"
IM_END = "<|im_end|>"

TAG_TOKENS = tuple(
    f"<|{name}|>"
    for name in [
        "en",
        "de",
        "zh",
        "unknown",
        "startoftranscript",
        "startofanalysis",
        "transcribe",
        "translate",
        "caption",
        "keyword",
        "question",
        "answer",
        "notimestamps",
        "wo_itn",
        "itn",
        "emotion_recognition",
        "vocal_classification",
        "audio_caption",
        "scene",
        "note_analysis",
    ]
)
"""Language tags, and Qwen-Audio's hierarchical tags for the comparison with natural-language prompts."""
SPECIAL_TOKENS = (END_OF_TEXT, IM_START, IM_END, AUDIO_TOKEN, AUDIO_BOS, AUDIO_EOS, *TAG_TOKENS)
"""Special tokens of the mini tokenizer; their index is their id."""
MINI_ROLES = {
    "eos_token": IM_END,
    "pad_token": END_OF_TEXT,
    "audio_token": AUDIO_TOKEN,
    "audio_bos_token": AUDIO_BOS,
    "audio_eos_token": AUDIO_EOS,
}
"""What the mini tokenizer's special tokens are for, by the names that transformers has for it."""
