"""datatrove's MinHash pipeline for bench/dedup.py: JSON in on standard input, JSON out. Runs in .bench/dedup.

The four steps are called directly, without an executor: no logs to write and no processes to start. Word tokeniser and
imports are warm before the clock starts.
"""

import json
import struct
import sys
import time
from importlib.metadata import version
from pathlib import Path

import pyarrow.parquet as pq
from datatrove.pipeline.dedup.minhash import (
    MinhashConfig,
    MinhashDedupBuckets,
    MinhashDedupCluster,
    MinhashDedupFilter,
    MinhashDedupSignature,
)
from datatrove.pipeline.readers import ParquetReader
from datatrove.pipeline.writers import ParquetWriter
from loguru import logger


def pipeline(source: Path, folder: Path, config: MinhashConfig, signature: MinhashDedupSignature) -> None:
    def read():
        return ParquetReader(str(source), text_key="text", id_key="doc_id").run(None, 0, 1)

    signature.run(read(), 0, 1)
    for bucket in range(config.num_buckets):
        buckets = MinhashDedupBuckets(str(folder / "signatures"), str(folder / "buckets"), config=config)
        buckets.run(None, bucket, config.num_buckets)
    MinhashDedupCluster(str(folder / "buckets"), str(folder / "remove"), config=config).run(None, 0, 1)
    kept = MinhashDedupFilter(str(folder / "remove")).run(read(), 0, 1)
    with ParquetWriter(str(folder / "kept")) as writer:
        for document in kept:
            writer.write(document, 0)


def clusters(folder: Path, config: MinhashConfig, doc_ids: list[str]) -> dict[str, int]:
    """Cluster of each document that has one; not part of the timed work."""
    step = MinhashDedupCluster(str(folder / "buckets"), str(folder / "clusters"), config=config, save_cluster_id=True)
    step.run(None, 0, 1)
    found = (folder / "clusters" / "000000.clusters").read_bytes()
    return {doc_ids[doc]: cluster for doc, cluster in struct.iter_unpack("<II", found)}


def main() -> None:
    request = json.load(sys.stdin)
    source, folder = Path(request["source"]), Path(request["folder"])
    logger.remove()
    config = MinhashConfig()
    signature = MinhashDedupSignature(str(folder / "signatures"), config=config)
    signature.get_signature(signature.get_shingles("a few words to warm the tokeniser up with"))
    begin = time.process_time()
    pipeline(source, folder, config, signature)
    seconds = time.process_time() - begin
    doc_ids = pq.read_table(source / "documents.parquet", columns=["doc_id"])["doc_id"].to_pylist()
    answer = {
        "version": version("datatrove"),
        "cpu_seconds": seconds,
        "kept": pq.read_table(folder / "kept").num_rows,
        "clusters": clusters(folder, config, doc_ids),
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
