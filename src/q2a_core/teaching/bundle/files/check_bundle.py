"""Whether a bundle is as it was written: every file of bundle.json is there and has its SHA-256. Needs Python alone.

The install scripts run it before pip sees anything: python check_bundle.py [FOLDER]
"""

import hashlib
import json
import sys
from pathlib import Path


def bundle_fault(folder: Path) -> str:
    """What is wrong with the bundle in a folder, in one sentence; "" if nothing is."""
    try:
        ledger = json.loads((folder / "bundle.json").read_text("utf-8"))
        files, complete = dict(ledger["files"]), ledger["complete"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"bundle.json cannot be read ({type(error).__name__}); copy the bundle again"
    if complete is not True:
        return "the bundle was never finished; run q2a bundle again where it was made"
    for name, digest in files.items():
        try:
            with (folder / name).open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            return f"{name} cannot be read ({error.strerror}); copy the bundle again"
        if found != digest:
            return f"{name} is not what was put into the bundle; copy the bundle again"
    return ""


if __name__ == "__main__":
    fault = bundle_fault(Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent))
    if fault:
        print(f"install: {fault}", file=sys.stderr)
        sys.exit(2)
