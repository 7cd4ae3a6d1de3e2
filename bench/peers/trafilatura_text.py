"""trafilatura's text of pages: {"pages": {language: [path]}} in, {"version", "texts": {language: [text]}} out."""

import json
import sys
from importlib.metadata import version
from pathlib import Path

import trafilatura

pages = json.load(sys.stdin)["pages"]
texts = {
    language: [trafilatura.extract(Path(path).read_bytes(), favor_recall=True) or "" for path in paths]
    for language, paths in pages.items()
}
print(json.dumps({"version": version("trafilatura"), "texts": texts}))
