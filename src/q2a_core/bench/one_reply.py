"""`python -m q2a_core.bench.one_reply ours|other CHECKPOINT`: open one side, answer one clip, print the peak memory.

Run in a process of its own, because a process never gives its peak back.
"""

import re
import sys
from pathlib import Path
from typing import Any

from q2a_core.bench.pair import QUESTION, noise_clip
from q2a_core.lengths import SAMPLE_RATE

SECONDS, NEW_TOKENS = 3.0, 16


def main(side: str, checkpoint: str) -> int:
    """Peak resident bytes after one reply of this side."""
    samples = noise_clip(SECONDS)
    if side == "ours":
        from q2a_core.inference import AudioChat

        chat = AudioChat.from_pretrained(checkpoint)
        chat.ask(samples, QUESTION, sample_rate=SAMPLE_RATE, max_new_tokens=NEW_TOKENS)
    else:
        from transformers import AutoProcessor, Qwen2AudioForConditionalGeneration

        from q2a_core.checkpoint import open_checkpoint
        from q2a_core.text import user_message

        directory = open_checkpoint(checkpoint).directory
        model: Any = Qwen2AudioForConditionalGeneration.from_pretrained(directory).eval()
        processor = AutoProcessor.from_pretrained(directory)
        text = processor.apply_chat_template(
            [user_message(QUESTION, clips=1)], add_generation_prompt=True, tokenize=False
        )
        inputs = processor(
            text=text, audio=[samples], sampling_rate=SAMPLE_RATE, return_tensors="pt"
        )
        model.generate(**inputs, do_sample=False, max_new_tokens=NEW_TOKENS)
    print(peak_bytes())
    return 0


def peak_bytes() -> int:
    """Peak resident bytes of this process. Linux's `ru_maxrss` still holds those of the process that started it."""
    status = Path("/proc/self/status")
    if status.is_file():
        return 1024 * int(re.findall(r"VmHWM:\s+(\d+) kB", status.read_text("utf-8"))[0])
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
