"""README.md of a model: what it is, what it was trained on, what it reaches and its known limits, from card.json."""

from gristmill.corpus.errors import CardError
from gristmill.corpus.typed_json import Json
from gristmill.data_cards.card import Card
from gristmill.data_cards.croissant import stated_languages
from gristmill.data_cards.front_matter import MAX_LANGUAGES, language_codes, licence
from gristmill.data_cards.overview import headline
from gristmill.data_cards.render import template
from gristmill.data_cards.sections import limits, mixture, sources, training, uses
from gristmill.data_cards.wording import number


def model_card(card: Card, architecture: str, comparison: str) -> str:
    """The page as Markdown with the front matter of a model.

    Parameters
    ----------
    architecture : class of transformers that opens the weights
    comparison : a sentence on how they were compared with those that were trained

    Raises
    ------
    CardError : the card is of a run without a training
    """
    if card.training is None:
        raise CardError(f"the card of {card.identity.run} knows no training; `gristmill card RUN` writes it again")
    found = [page.section(card) for page in (training, mixture, sources, uses, limits)]
    return template("model_card.md.jinja").render(
        card=card,
        front_matter=_front_matter(card),
        architecture=architecture,
        comparison=comparison,
        headline=_headline(card),
        corpus=headline(card),
        sections=[section for section in found if section is not None],
    )


def _headline(card: Card) -> str:
    """The model in one sentence."""
    summary = card.training
    assert summary is not None
    return (
        f"A mixture-of-experts language model of {number(summary.parameters)} parameters, "
        f"{number(summary.active_parameters)} of them active for a token, trained on {number(summary.tokens)} tokens."
    )


def _front_matter(card: Card) -> str:
    """YAML text that ``huggingface_hub.ModelCard`` parses."""
    from huggingface_hub import ModelCardData

    fields = dict[str, Json](
        language=language_codes(stated_languages(card))[:MAX_LANGUAGES] or None,
        library_name="transformers",
        pipeline_tag="text-generation",
        tags=["mixture-of-experts", "gristmill"],
        **licence(card),
    )
    return ModelCardData(**fields).to_yaml(line_break="\n") + "\n"
