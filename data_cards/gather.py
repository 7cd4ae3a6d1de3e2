"""The card of a run, from its receipts and tables alone: no clock, no host, no path of the machine.

Nothing that writing a card left behind is read, so that a card can be compared with what is gathered again.
"""

from dataclasses import replace

from gristmill.corpus.credentials import redact
from gristmill.corpus.files import content_key
from gristmill.corpus.rundir import RunDir
from gristmill.data_cards.card import FORMAT, Card
from gristmill.data_cards.limits import known_limits
from gristmill.data_cards.parts.accounts import funnel, stages
from gristmill.data_cards.parts.corpus_identity import identity
from gristmill.data_cards.parts.cut_text import edits
from gristmill.data_cards.parts.dedup import dedup, repeats
from gristmill.data_cards.parts.environment import environment
from gristmill.data_cards.parts.handover import handed_over
from gristmill.data_cards.parts.judged_languages import judged_languages
from gristmill.data_cards.parts.knowledge import knowledge
from gristmill.data_cards.parts.ledger import dropped_by_rule, verdicts
from gristmill.data_cards.parts.mixture import mixture
from gristmill.data_cards.parts.models import classifiers, references
from gristmill.data_cards.parts.profile import profile
from gristmill.data_cards.parts.row_samples import row_samples
from gristmill.data_cards.parts.screens import screens
from gristmill.data_cards.parts.sources import rejects, sources
from gristmill.data_cards.reading import FolderOf, Reading
from gristmill.data_cards.takedowns import gather_takedowns
from gristmill.filters.decide.stage import DecideFacts
from gristmill.trainer.training_summary import TrainFacts

REBUILD = "gristmill rebuild CARD_FOLDER --check"


def gather(run: RunDir, folder_of: FolderOf) -> Card:
    """Everything that a card says; addresses come without their credentials.

    Parameters
    ----------
    run : a run that has come as far as its plan
    folder_of : the store folder of a receipt, ``store.folder``

    Raises
    ------
    StoreError : the run has not come far enough, naming the stage
    CardError : tables of the run do not align, or a receipt says what this version does not know
    """
    reading = Reading(run, folder_of)
    ledger = reading.table("decide", "ledger.parquet")
    (decided,) = reading.facts("decide", DecideFacts)
    trained = reading.fact("train", TrainFacts)
    card = Card(
        format=FORMAT,
        identity=identity(reading),
        recipe=(run.path / "recipe.toml").read_text(encoding="utf-8"),
        lock=reading.lock,
        environment=environment(reading),
        run_stages=content_key(run.stages.to_json()),
        stages=stages(reading),
        funnel=funnel(reading),
        sources=sources(reading),
        rejects=rejects(reading),
        verdicts=verdicts(ledger),
        drops=dropped_by_rule(ledger),
        reviewed=decided.reviewed,
        judged_languages=judged_languages(decided),
        edits=edits(reading),
        dedup=dedup(reading, ledger),
        repeats=repeats(reading),
        screens=screens(reading, ledger),
        **profile(reading)._asdict(),
        classifiers=classifiers(reading),
        references=references(reading),
        knowledge=knowledge(reading),
        mixture=mixture(reading),
        **handed_over(reading)._asdict(),
        row_samples=row_samples(reading),
        training=trained.summary if trained else None,
        takedowns=gather_takedowns(run),
        rebuild=REBUILD,
        not_done=run.stages.not_done,
        limits=(),
    )
    return Card.from_json(redact(replace(card, limits=known_limits(card)).to_json()))
