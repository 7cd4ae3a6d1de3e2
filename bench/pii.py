"""Personal data on a gold set made by code: precision, recall, speed beside Hyperscan and Presidio; hard negatives.

    python bench/pii.py [--final] [--show] [--quick] [--json]

Values come from bench/peers/pii_forms.py (phonenumbers, Faker, the forms that services publish) and are set into
sentences of samples/. A quarter of the forms of each kind, drawn by a seed, is held back: only --final looks at it.
Recall counts gold values that a find of the kind covers whole; precision the finds of a kind that touch a gold value of
it, over the positive sentences and the hard negatives together. --show prints what is missed and what is false.
Hyperscan has the same patterns and check digits, without what stands around a match; Presidio its own recognisers of
these kinds, each called alone. Both read the same sentences in the same run; see bench/peers/pii_scan.py.
PII_FORMS_PYTHON names an interpreter that has bench/peers/pii_forms.txt; else an environment is made under .bench/.
"""

import json
import os
import random
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for bench.compare

import pyarrow as pa
import pyarrow.parquet as pq

from bench.compare import HOUSE, Comparison, cpu_seconds, options, peak_rss_mb, peer_python, say
from bench.decontaminate import interval
from bench.quality_pii import batch_of, megabytes, texts_of
from gristmill.filters.pii._kernels_labels import ACCENTED, LATIN, UNSPACED
from gristmill.filters.pii.scan import KINDS, find

SEED = 20261130
HELD_SEED = 20261201  # the quarter of the first draw (SEED) was measured once, before EAN and two labels were mended
PEERS = HOUSE / "bench" / "peers"
TIMED_BYTES = 8 << 20

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


def ask(script: str, request: dict[str, Any]) -> Any:
    """What a script of bench/peers answers, in the environment of pii_forms.txt."""
    python, asked = os.environ.get("PII_FORMS_PYTHON") or peer_python("pii_forms"), json.dumps(request)
    done = subprocess.run([python, PEERS / script], input=asked, text=True, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def labels() -> list[str]:
    """Words that announce a telephone number."""
    return [word.replace("_", " ") for word in (*LATIN.split(), *ACCENTED.split(), *UNSPACED.split())]


def held_back(rows: list[dict[str, str]]) -> set[tuple[str, str]]:
    """A quarter of the forms of each kind."""
    draw, chosen = random.Random(HELD_SEED), set()
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


Found = list[list[tuple[int, int, str]]]


def finds_of(cases: list[Case]) -> Found:
    """Our finds of each case."""
    out: Found = [[] for _ in cases]
    for document, start, end, kind in find(pa.record_batch({"text": [case.text for case in cases]})).tolist():
        out[document].append((start, end, KINDS[kind]))
    return out


def judged(cases: list[Case], finds: Found) -> Iterator[tuple[str, str, Case, int, int]]:
    """("hit", "missed", "true" or "false", kind, case, start, end) of every gold value and of every find."""
    for case, found in zip(cases, finds, strict=True):
        covered = any(kind == case.kind and start <= case.start and end >= case.end for start, end, kind in found)
        if case.kind:
            yield "hit" if covered else "missed", case.kind, case, case.start, case.end
        for start, end, kind in found:
            touches = kind == case.kind and start < case.end and case.start < end
            yield "true" if touches else "false", kind, case, start, end


def shares(cases: list[Case], finds: Found) -> dict[str, tuple[float, str]]:
    """By kind: the lower of precision and recall, and both with their intervals."""
    counts, out = Counter((what, kind) for what, kind, *_ in judged(cases, finds)), {}
    for kind in KINDS:
        hit, missed, true, false = (counts[what, kind] for what in ("hit", "missed", "true", "false"))
        if hit + missed:
            least = min(true / max(true + false, 1), hit / (hit + missed))
            precision = interval(true, true + false) if true + false else "none found"
            out[kind] = least, f"precision {precision}; recall {interval(hit, hit + missed)}"
    return out


def show_errors(cases: list[Case], finds: Found) -> None:
    """What is missed and what is false, with a little of what stands around."""
    for what, kind, case, start, end in judged(cases, finds):
        if what in ("missed", "false"):
            around = case.text.encode()[max(0, start - 25) : end + 9].decode(errors="ignore")
            print(what, kind, case.form, repr(around), sep="\t", file=sys.stderr)


def measured(cases: list[Case], finds: dict[str, Found], what: str, versions: dict[str, str]) -> Iterator[Comparison]:
    """Precision and recall of each kind: ours, then each peer's beside ours."""
    ours = shares(cases, finds["ours"])
    for kind, (least, note) in ours.items():
        yield Comparison(f"personal data, {what}: {kind}", "gold made by code", "", "min(precision, recall)", least,
                         None, None, ">= 0.95", None, peak_rss_mb(), note)  # fmt: skip
    for peer, version in versions.items():
        for kind, (least, note) in shares(cases, finds[peer]).items():
            mine, ratio = ours[kind][0], ours[kind][0] / least if least else None
            yield Comparison(f"personal data, {what}: {kind}", peer, version, "min(precision, recall)", mine, least,
                             ratio, ">= 1x", None, peak_rss_mb(), f"theirs: {note}")  # fmt: skip


def timed(texts: list[str], rates: dict[str, float], versions: dict[str, str]) -> Iterator[Comparison]:
    """MB of text for each CPU second."""
    seconds, _ = cpu_seconds(partial(find, batch_of(texts)))
    ours = megabytes(texts) / seconds
    for peer, rate in rates.items():
        yield Comparison("personal data, scan of all seven kinds", peer, versions[peer.split(",")[0]], "MB/CPU s", ours,
                         rate, ours / rate, ">= 1.5x", None, peak_rss_mb())  # fmt: skip


def some_of(texts: list[str], n_bytes: int) -> Iterator[str]:
    """Texts from all over the list until the bytes are used up."""
    step = max(1, int(megabytes(texts) * 1e6 / n_bytes))
    return iter(texts[::step])


def by_peers(cases: list[Case], texts: list[str]) -> dict[str, Any]:
    """Finds, rates and versions of both peers."""
    with tempfile.NamedTemporaryFile(suffix=".parquet") as file:
        pq.write_table(pa.table({"text": texts}), file.name)
        request = {"texts": [case.text for case in cases], "labels": labels(), "timed": file.name}
        return ask("pii_scan.py", request)


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--final", action="store_true", help="measure the forms that were held back too")
    parser.add_argument("--show", action="store_true", help="print misses and false finds")
    given = parser.parse_args()
    draw, around = random.Random(SEED), sentences()
    rows = ask("pii_forms.py", {"seed": SEED, "count": 1 if given.quick else 4})
    back = held_back(rows)
    negative = list(negatives(around, 300 if given.quick else 1290, draw))
    n_forms = len({(row["kind"], row["form"]) for row in rows})
    print(f"{len(rows)} values, {n_forms} forms, {len(back)} held back; {len(negative)} negatives", file=sys.stderr)
    sets = {"forms looked at": [row for row in rows if (row["kind"], row["form"]) not in back]}
    if given.final:
        sets["forms held back"] = [row for row in rows if (row["kind"], row["form"]) in back]
    texts = list(some_of(texts_of(given.data), TIMED_BYTES // (4 if given.quick else 1)))
    for what, some in sets.items():
        cases = [*positives(some, around, draw), *negative]
        peers = by_peers(cases, texts)
        finds = {"ours": finds_of(cases), **peers["finds"]}
        if given.show:
            show_errors(cases, finds["ours"])
        for one in measured(cases, finds, what, peers["versions"]):
            say(one, given.json)
        if what == "forms looked at":
            for one in timed(texts, peers["rates"], peers["versions"]):
                say(one, given.json)


if __name__ == "__main__":
    main()
