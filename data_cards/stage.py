"""The stage that writes the data card."""

from gristmill.corpus.stage import CorpusStage

CARD = CorpusStage(
    name="card",
    extra="card",
    version="3",
    reads=("documents", "decide", "shards", "plan"),
    title="the data card",
    always=True,
    run="gristmill.flows.pipeline.publish:publish_card",
)
