"""Personal data on a gold set made by code: precision and recall by kind, forms held back apart; hard negatives.

    python bench/pii.py [--final] [--show] [--quick] [--json]

Values come from bench/peers/pii_forms.py (phonenumbers, Faker, the forms that services publish) and are set into
sentences of samples/. A quarter of the forms of each kind, drawn by a seed, is held back: only --final looks at it.
Recall counts gold values that a find of the kind covers whole; precision the finds of a kind that touch a gold value of
it, over the positive sentences and the hard negatives together. --show prints what is missed and what is false.
PII_FORMS_PYTHON names an interpreter that has bench/peers/pii_forms.txt; else an environment is made under .bench/.
"""

import json
import os
import random
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for bench.compare

import pyarrow as pa
import pyarrow.parquet as pq

from bench.compare import HOUSE, Comparison, options, peak_rss_mb, peer_python, say
from bench.decontaminate import interval
from gristmill.filters.pii.scan import KINDS, find

SEED = 20261130
FORMS = HOUSE / "bench" / "peers" / "pii_forms.py"


BEHIND = {  # by kind and the end of what stands before
    ("key", "://"): "@db.example.org/x ",
    ("key", '="'): '" ',
    ("key", 'Y="'): '" ',
    ("key", ': "'): '" ',
    ("ipv4", "://"): "/index.html ",
    ("ipv6", "//["): "]:80 ",
    ("email", "<"): "> ",
}
NEGATIVES = (  # a digit for every number sign, a hexadecimal one for every per cent sign
    "version #.##.#.##",
    "v1#.#.2#.#",
    "nginx/1.##.#.1##",
    "OID 1.3.6.1.4.1.###.##.#",
    "section 4.11.2.##",
    "§ 1## Abs. # Nr. #",
    "Release 12.#.1##.2##",
    "ISBN 9780306406157",
    "ISBN 978-3-16-148410-0",
    "ISBN 0-306-40615-2",
    "ISSN ####-####",
    "doi:10.1###/j.cell.20##.05.0##",
    "https://doi.org/10.1###/s4####-0##-0####-#",
    "arXiv:24##.0####",
    "PMID: 3#######",
    "commit %%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%",
    "md5 %%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%",
    "sha256:" + "%" * 64,
    "%%%%%%%%-%%%%-4%%%-a%%%-%%%%%%%%%%%%",
    "%%:%%:%%:%%:%%:%%",
    "1#:2#:3#",
    "20##-0#-1#T1#:2#:3#Z",
    "19##-20##",
    "1#/0#/20##",
    "4#.######, -1##.######",
    "N 48° 1#' 2#.#",
    "order 4#########",
    "order 1##-#######-#######",
    "Bestellnummer 30#######",
    "Rechnung Nr. 20######/##",
    "tracking number 1Z%%%%%%##########",
    "customer 00######",
    "#,###,###,### bytes",
    "1# ### ### inhabitants",
    "#.###.###,00 EUR",
    "#### #### ####",
    "##.# ##.# ##.# ##.#",
    "0.#### 0.#### 0.#### 0.####",
    "#### + #### = #####",
    "x^2 - ###x + ####",
    "3.14159265358979323846",
    "2^64 = 18446744073709551616",
    "EAN 4############",
    "US #,###,### B2",
    "192.168.#.##",
    "10.#.#.1##",
    "127.0.0.1:80##",
    "fe80::1%eth0",
    "2001:db8::%%%%",
    "@property\n    def size(self)",
    "@user####",
    "import x from '@scope/package'",
    "git clone ssh://host/path.git",
    "std::vector<std::pair<int, int>>::iterator",
    "#define MASK 0x%%%%%%%%",
    "https://user:password@host/path",
    "https://<user>:<password>@host",
    'api_key = "YOUR_API_KEY_GOES_HERE"',
    "password: correct horse battery staple",
    "token_count = 1#####",
    "sk-learn-contrib-package-name",
    "margin: 0 1#px 2#px",
    "call 1## times",
    "telephone exchange of 19##",
    "Handy trick 1234",
    "contact lenses at 20## prices",
    "chapter 1.2.#.4#",
    "ID 1###-2###-3###-4##",
)


@dataclass(frozen=True, slots=True)
class Case:
    """A sentence; with kind and value where it holds personal data."""

    text: str
    form: str
    kind: str = ""
    start: int = 0  # in bytes
    end: int = 0


def sentences() -> list[str]:
    """Sentences of samples/ without digits, @ and quotes, in the languages there."""
    texts = []
    for path in ("legal/state-of-the-union.parquet", "docs/gnome-help.parquet", "reference/world-factbook.parquet"):
        texts += pq.read_table(HOUSE / "samples" / path, columns=["text"])["text"].to_pylist()
    found = {one.strip() for text in texts for one in re.findall(r"[^.!?\n]{50,160}[.!?]", text)}
    return sorted(one for one in found if not re.search(r"[\d@\"'<>/:=]", one))


def forms(count: int) -> list[dict[str, str]]:
    """Values by form; see bench/peers/pii_forms.py."""
    python = os.environ.get("PII_FORMS_PYTHON") or peer_python("pii_forms")
    asked = json.dumps({"seed": SEED, "count": count})
    return json.loads(subprocess.run([python, FORMS], input=asked, text=True, capture_output=True, check=True).stdout)


def held_back(rows: list[dict[str, str]]) -> set[tuple[str, str]]:
    """A quarter of the forms of each kind."""
    draw, chosen = random.Random(SEED), set()
    for kind in sorted({row["kind"] for row in rows}):
        names = sorted({row["form"] for row in rows if row["kind"] == kind})
        chosen |= {(kind, name) for name in draw.sample(names, max(1, len(names) // 4))}
    return chosen


def positives(rows: list[dict[str, str]], around: list[str], draw: random.Random) -> Iterator[Case]:
    """Every value in a sentence: between two words, or behind it."""
    for row in rows:
        words = draw.choice(around).split(" ")
        at = draw.randrange(1, len(words) + 1)
        front = " ".join(words[:at]) + " " + row["before"]
        behind = BEHIND.get((row["kind"], row["before"][-3:])) or draw.choice((" ", ", ", ".\n", "\n", ") "))
        start = len(front.encode())
        end = start + len(row["value"].encode())
        yield Case(front + row["value"] + behind + " ".join(words[at:]), row["form"], row["kind"], start, end)


def negatives(around: list[str], count: int, draw: random.Random) -> Iterator[Case]:
    """What looks like personal data and is none, in sentences."""
    for number in range(count):
        form = NEGATIVES[number % len(NEGATIVES)]
        value = re.sub("[#%]", lambda found: draw.choice("0123456789abcdef"[: 10 if found[0] == "#" else 16]), form)
        words = draw.choice(around).split(" ")
        at = draw.randrange(1, len(words) + 1)
        yield Case(" ".join([*words[:at], value, *words[at:]]), form)


def finds_of(cases: list[Case]) -> list[list[tuple[int, int, str]]]:
    """Finds of each case."""
    out: list[list[tuple[int, int, str]]] = [[] for _ in cases]
    for document, start, end, kind in find(pa.record_batch({"text": [case.text for case in cases]})).tolist():
        out[document].append((start, end, KINDS[kind]))
    return out


def measured(cases: list[Case], negative: list[Case], what: str, show: bool) -> Iterator[Comparison]:
    """Precision and recall of each kind."""
    counts = {name: Counter() for name in ("hit", "missed", "true", "false")}
    for case, found in zip([*cases, *negative], finds_of([*cases, *negative]), strict=True):
        covered = any(kind == case.kind and start <= case.start and end >= case.end for start, end, kind in found)
        noted = [("hit" if covered else "missed", case.kind, case.start, case.end)] if case.kind else []
        for start, end, kind in found:
            touches = kind == case.kind and start < case.end and case.start < end
            noted.append(("true" if touches else "false", kind, start, end))
        for name, kind, start, end in noted:
            counts[name][kind] += 1
            if show and name in ("missed", "false"):
                around = case.text.encode()[max(0, start - 25) : end + 9].decode(errors="ignore")
                print(name, kind, case.form, repr(around), sep="\t", file=sys.stderr)
    for kind in KINDS:
        hit, missed, true, false = (counts[name][kind] for name in counts)
        if hit + missed:
            shares = true / max(true + false, 1), hit / (hit + missed)
            note = f"precision {interval(true, true + false)}; recall {interval(hit, hit + missed)}"
            yield Comparison(f"personal data, {what}: {kind}", "gold made by code", "", "min(precision, recall)",
                             min(shares), None, None, ">= 0.95", None, peak_rss_mb(), note)  # fmt: skip


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--final", action="store_true", help="measure the forms that were held back too")
    parser.add_argument("--show", action="store_true", help="print misses and false finds")
    given = parser.parse_args()
    draw, rows, around = random.Random(SEED), forms(1 if given.quick else 4), sentences()
    back = held_back(rows)
    negative = list(negatives(around, 300 if given.quick else 1290, draw))
    n_forms = len({(row["kind"], row["form"]) for row in rows})
    print(f"{len(rows)} values, {n_forms} forms, {len(back)} held back; {len(negative)} negatives", file=sys.stderr)
    seen = list(positives([row for row in rows if (row["kind"], row["form"]) not in back], around, draw))
    for one in measured(seen, negative, "forms looked at", given.show):
        say(one, given.json)
    if given.final:
        unseen = list(positives([row for row in rows if (row["kind"], row["form"]) in back], around, draw))
        for one in measured(unseen, negative, "forms held back", given.show):
            say(one, given.json)


if __name__ == "__main__":
    main()
