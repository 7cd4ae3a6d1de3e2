"""Receipts and manifests: the proof that a part, or a whole stage, is done."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gristmill.corpus import account
from gristmill.corpus.account import Account
from gristmill.corpus.files import content_key


@dataclass(frozen=True, slots=True)
class FileDigest:
    """One file of a store entry."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a stage function reports about the folder it has filled."""

    rows: int
    accounts: Mapping[str, Account] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)  # small JSON: counts by reason, chosen bands ...


@dataclass(frozen=True, slots=True)
class Receipt:
    """Proof that the entry ``stage/key`` is complete. Holds no time and no host: same key, same bytes."""

    stage: str
    key: str
    rows: int
    accounts: dict[str, Account]
    facts: dict[str, Any]
    files: tuple[FileDigest, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "stage": self.stage,
            "key": self.key,
            "rows": self.rows,
            "accounts": account.to_json(self.accounts),
            "facts": self.facts,
            "files": [{"name": f.name, "bytes": f.bytes, "sha256": f.sha256} for f in self.files],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Receipt":
        """The inverse of ``to_json``."""
        files = tuple(FileDigest(**f) for f in value["files"])
        accounts = account.from_json(value["accounts"])
        return cls(value["stage"], value["key"], value["rows"], accounts, value["facts"], files)


@dataclass(frozen=True, slots=True)
class Manifest:
    """A stage of a run: its parts in planned order, the same whichever worker computed them and when."""

    stage: str
    parts: tuple[Receipt, ...]

    @property
    def key(self) -> str:
        """Names the stage's whole content: a hash of its part keys, in order."""
        return content_key([self.stage, *(part.key for part in self.parts)])

    @property
    def rows(self) -> int:
        """Rows in all parts."""
        return sum(part.rows for part in self.parts)

    @property
    def accounts(self) -> dict[str, Account]:
        """Accounts of all parts, added up by source."""
        return account.add_up(part.accounts for part in self.parts)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {"stage": self.stage, "key": self.key, "parts": [part.to_json() for part in self.parts]}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Manifest":
        """The inverse of ``to_json``."""
        return cls(value["stage"], tuple(Receipt.from_json(part) for part in value["parts"]))
