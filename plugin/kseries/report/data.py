"""verdict.json: the whole verdict as data, the one source of every other format."""

from __future__ import annotations

import json
from pathlib import Path

from .. import cache
from ..verdict import Verdict

FILE = "verdict.json"


def write(verdict: Verdict, folder: Path) -> list[str]:
    """Write FOLDER/verdict.json; its schema is docs/verdict.schema.json."""
    text = json.dumps(verdict.to_json(), indent=1, ensure_ascii=False)
    cache.replace(folder / FILE, text.encode(errors="replace") + b"\n")
    return [FILE]
