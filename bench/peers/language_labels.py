"""Labels of pycld2 and lingua: {"texts": [text]} in, {peer: {"version", "labels": [ISO 639-1 code or "und"]}} out."""

import json
import sys
from importlib.metadata import version

import pycld2
from lingua import LanguageDetectorBuilder

texts = json.load(sys.stdin)["texts"]


def cld2_label(text: str) -> str:
    try:
        _, _, found = pycld2.detect("".join(one for one in text if one.isprintable()))
    except pycld2.error:
        return "und"
    code = found[0][1]
    return {"un": "und", "iw": "he", "no": "nb"}.get(code, code.split("-")[0])


detector = LanguageDetectorBuilder.from_all_languages().build()
found = detector.detect_languages_in_parallel_of(texts)
lingua = [one.iso_code_639_1.name.lower() if one else "und" for one in found]
print(
    json.dumps(
        {
            "pycld2": {"version": version("pycld2"), "labels": [cld2_label(text) for text in texts]},
            "lingua": {"version": version("lingua-language-detector"), "labels": lingua},
        }
    )
)
