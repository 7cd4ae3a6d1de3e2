"""What if: the decision again with other rules, from stored columns, and what would change."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from gristmill.corpus.account import Account
from gristmill.corpus.whole_columns import rows_of
from gristmill.filters.decide.evidence import VERDICTS, Evidence, judge
from gristmill.filters.decide.rules import Rule
from gristmill.filters.decide.verdicts import account_by_source

FLIPPED = pa.schema([pa.field(name, pa.string(), False) for name in ("doc_id", "source", "before", "after")])


@dataclass(frozen=True, slots=True)
class WhatIf:
    """Two decisions over the same documents."""

    before: dict[str, Account]  # by source
    after: dict[str, Account]
    flipped: pa.Table  # FLIPPED: documents whose verdict differs, in the documents' order


def whatif(
    evidence: Evidence,
    before: Mapping[str, tuple[Rule, ...]],
    after: Mapping[str, tuple[Rule, ...]],
    decisions: np.ndarray | None = None,
) -> WhatIf:
    """Judge by two sets of rules and compare.

    Parameters
    ----------
    evidence : from ``gristmill.filters.decide.evidence.gather``
    before, after : rules by domain
    decisions : what people decided, see ``gristmill.filters.decide.evidence.judge``

    Returns
    -------
    WhatIf: accounts by source before and after, and the documents that flip. A representative that falls may
    raise another document of its cluster

    Raises
    ------
    UnknownNameError : see ``gristmill.filters.decide.evidence.judge``
    """
    codes = [judge(evidence, rules, decisions).codes for rules in (before, after)]
    flips = np.flatnonzero(codes[0] != codes[1])
    chosen = rows_of(evidence.documents.select(["doc_id", "source"]), pa.array(flips))
    names = [pa.array(VERDICTS).take(pa.array(side[flips])) for side in codes]
    flipped = pa.table([chosen["doc_id"], chosen["source"], *names], names=FLIPPED.names).cast(FLIPPED)
    accounts = [account_by_source(evidence.documents, side) for side in codes]
    return WhatIf(accounts[0], accounts[1], flipped)
