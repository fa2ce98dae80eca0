"""How a checkpoint wants its replies decoded: `generation_config.json`, or what `config.json` says where there is none.

As transformers takes it: beside the file config.json has no say, and without it what lies at the top of config.json
goes before what lies in its text_config. Names that are no settings of decoding are left where they are.
"""

from pathlib import Path
from typing import Any

from q2a_core.files import read_json

STOPS = ("eos_token_id", "pad_token_id")
"""Settings that are always there, None where nothing sets them."""
OBEYED = (
    "do_sample",
    "max_length",
    "max_new_tokens",
    "min_new_tokens",
    "temperature",
    "top_k",
    "top_p",
    "repetition_penalty",
)
"""Settings of decoding that `inference` follows."""
INERT = {
    "num_beams": 1,
    "num_beam_groups": 1,
    "no_repeat_ngram_size": 0,
    "encoder_no_repeat_ngram_size": 0,
    "encoder_repetition_penalty": 1.0,
    "typical_p": 1.0,
    "epsilon_cutoff": 0.0,
    "eta_cutoff": 0.0,
    "min_length": 0,
    "penalty_alpha": 0.0,
    "guidance_scale": 1,
    "suppress_tokens": None,
    "begin_suppress_tokens": None,
    "bad_words_ids": None,
    "force_words_ids": None,
    "constraints": None,
    "sequence_bias": None,
    "forced_bos_token_id": None,
    "forced_eos_token_id": None,
    "exponential_decay_length_penalty": None,
    "stop_strings": None,
    "token_healing": False,
    "min_p": 0.0,
    "top_h": None,
    "dola_layers": None,
    "max_time": None,
    "watermarking_config": None,
}
"""Settings of transformers that are not implemented, with the value at which they do nothing; so do empty lists."""


def read_generation(directory: Path, config: dict[str, Any]) -> dict[str, Any]:
    """The settings of the checkpoint in `directory`, whose config.json holds `config`. Raises CheckpointError."""
    path = directory / "generation_config.json"
    generation = dict.fromkeys(STOPS) | read_json(path, optional=True)
    if path.is_file():
        return generation
    for place in (config, config.get("text_config") or {}):
        for name in (*STOPS, *OBEYED, *INERT):
            if generation.get(name) is None and place.get(name) is not None:
                generation[name] = place[name]
    return generation
