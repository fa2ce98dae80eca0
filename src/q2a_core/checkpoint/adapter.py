"""LoRA adapters: folders that look like a checkpoint and hold only what was learnt beside one."""

from pathlib import Path

from q2a_core.errors import CheckpointError
from q2a_core.files import read_json

ADAPTER_CONFIG = "adapter_config.json"
"""What PEFT writes beside an adapter; transformers then opens the model that it names, and puts the adapter on."""


def refuse_adapter(directory: Path) -> None:
    """Raise CheckpointError, which says what to merge it into, for an adapter in `directory`, beside a model or not."""
    found = sorted(path.name for path in directory.glob("adapter_*") if path.is_file())
    if not any(name.startswith(("adapter_config.", "adapter_model")) for name in found):
        return
    values = read_json(directory / ADAPTER_CONFIG, optional=True)
    base = values.get("base_model_name_or_path")
    base = repr(base[:80]) if isinstance(base, str) and base else "the model it was trained on"
    beside = any(directory.glob("model*.safetensors"))
    raise CheckpointError(
        f"{directory.name} holds a LoRA adapter ({', '.join(found[:2])}){' beside a model' if beside else ''}, which "
        f"is not applied here; merge it into {base} with PEFT's merge_and_unload() and open what save_pretrained() "
        f"then writes{', or move the adapter away to open the model without it' if beside else ''}"
    )
