"""Chat templates as a recipe names them: what is wrong is known before work starts. Jinja alone is imported."""

from collections.abc import Iterator
from pathlib import Path

from gristmill.corpus.errors import SourceError
from gristmill.tokenizer.chat_template import CONTROL, template_fault, template_text
from gristmill.tokenizer.stage import Tokenizer
from gristmill.tokenizer.tokenizer_json import marked, read_config


def template_mistakes(section: Tokenizer) -> Iterator[tuple[str, str]]:
    """Keys of [tokenizer] that keep conversations from being encoded, and why."""
    file = section.template_file
    if file is not None and not Path(file).is_file():
        return  # reported elsewhere
    try:
        text = template_text(section, Path(file) if file else None)
    except SourceError as error:
        yield "chat_template", str(error).removeprefix("tokenizer.chat_template: ")
        return
    if text is None:
        known = ", ".join(CONTROL)
        yield "chat_template", f"a source has messages, and there is no template to put them into; shipped: {known}"
        return
    specials = section.specials
    fault = template_fault(text, {"bos_token": specials.begin, "eos_token": specials.end, "pad_token": specials.pad})
    if fault is not None:
        yield "chat_template", fault
    lacking = [name for name in CONTROL.get(section.chat_template or "", ()) if name not in _special(section)]
    if lacking:
        yield (
            "specials.control",
            f"the template {section.chat_template} is made of {', '.join(lacking)}; name them here",
        )


def _special(section: Tokenizer) -> set[str]:
    named = set(section.specials.named)
    if section.path is None or not Path(section.path).is_file():
        return named
    try:
        return named | marked(read_config(Path(section.path))).keys()
    except SourceError:  # reported elsewhere
        return set().union(*CONTROL.values())
