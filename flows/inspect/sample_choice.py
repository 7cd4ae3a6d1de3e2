"""Which documents ``gristmill samples`` shows."""

from dataclasses import dataclass

VERDICTS = ("kept", "dropped", "merged")


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleChoice:
    """All that is given must hold of a document; something is given.

    Parameters
    ----------
    rule
        documents that failed this rule
    source
        documents of this source
    kept
        documents that are kept, after edits
    dropped
        documents that rules dropped
    merged
        documents that were merged into another
    rejected
        records that became no document, with reason and first bytes; beside --source alone
    cluster
        the members of a cluster, side by side; its id, or the id of a member, or the beginning of one
    cut
        kept documents from which this reason cut something, or masked it (mask:EMAIL), before and after
    """

    rule: str | None = None
    source: str | None = None
    kept: bool = False
    dropped: bool = False
    merged: bool = False
    rejected: bool = False
    cluster: str | None = None
    cut: str | None = None

    @property
    def verdicts(self) -> list[str]:
        """Verdicts that are asked for; of several each document has one of them."""
        return [verdict for verdict in VERDICTS if getattr(self, verdict)]
