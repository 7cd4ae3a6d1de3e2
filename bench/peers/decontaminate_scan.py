"""decontaminate (decon) on the documents of bench/decontaminate.py: CPU seconds of its detection, and what it finds.

JSON in: {"folder"} with evals/passages.jsonl and documents/*.jsonl; JSON out: {"seconds", "version", "found"}, pairs of
document and passage. The seconds are those of a run less those of one with a single document: building the index is
left out, as for ours.
"""

import json
import shutil
import sys
import time
from pathlib import Path

import decon


def detect(folder: Path, training: Path, evals: Path) -> tuple[float, Path]:
    """CPU seconds, and the folder of reports."""
    report = folder / f"report-{training.name}"
    shutil.rmtree(report, ignore_errors=True)
    config = decon.Config(
        training_dir=str(training), evals_dir=str(evals), report_output_dir=str(report), worker_threads=1
    )
    begin = time.process_time()
    decon.detect(config)
    return time.process_time() - begin, report


def main() -> None:
    folder = Path(json.loads(sys.stdin.read())["folder"])
    evals, none = folder / "peer_evals", folder / "one"
    for made in (evals, none):
        made.mkdir(exist_ok=True)
    with (evals / "passages-1.jsonl").open("w") as out:
        for number, line in enumerate((folder / "evals" / "passages.jsonl").read_text().splitlines()):
            row = {
                "eval_key": "passages",
                "eval_instance_index": number,
                "split": "test",
                "answer": "",
                "passage": None,
            }
            row |= {"doc_id": number, "config": "", "fingerprint": str(number)}
            out.write(json.dumps({**row, "question": json.loads(line)["text"], "is_correct": True}) + "\n")
    (none / "one.jsonl").write_text(json.dumps({"text": "one"}) + "\n")
    seconds, report = detect(folder, folder / "documents", evals)
    start, _ = detect(folder, none, evals)
    found = []
    for path in report.rglob("*.jsonl"):
        for line in path.read_text().splitlines():
            row = json.loads(line)
            found.append((int(row["training_line"]), int(row["eval_instance_index"])))
    print(json.dumps({"seconds": seconds - start, "version": decon.__version__, "found": found}))


if __name__ == "__main__":
    main()
