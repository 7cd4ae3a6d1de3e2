"""Orders of grain and datasets for bench/mixing.py: JSON in, JSON out. Runs in .bench/mixing.

Each source holds its own number, so that what comes out is the domain of every sample.
"""

import json
import sys
import tempfile
import time
from importlib.metadata import version

import datasets
import grain
import numpy as np


def worst(domains: np.ndarray, shares: list[float]) -> float:
    """max |N_d(n) - n w_d| over prefixes and domains, in rows."""
    n = np.arange(1, len(domains) + 1)
    return max(float(np.abs(np.cumsum(domains == d) - n * share).max()) for d, share in enumerate(shares))


def timed(order, samples: int) -> tuple[float, np.ndarray]:
    """Rows a CPU second, and the domains."""
    begin = time.process_time()
    found = np.asarray(order(samples))
    return samples / (time.process_time() - begin), found


def mixed(shares: list[float], samples: int) -> grain.MapDataset:
    sources = [grain.MapDataset.source([d] * samples) for d in range(len(shares))]
    return grain.MapDataset.mix(sources, weights=shares)


def elastic(shares: list[float]) -> str:
    """What grain's elastic iterator, which may change the number of readers, answers to a mixture."""
    try:
        from grain.experimental import ElasticIterator

        options = grain.sharding.ShardOptions(shard_index=0, shard_count=1)
        next(ElasticIterator(mixed(shares, 64).repeat(), 8, options))
    except Exception as error:  # noqa: BLE001  whatever it says is the answer
        return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:160]
    return "accepted"


def interleaved(shares: list[float], samples: int) -> list[int]:
    sources = [datasets.Dataset.from_dict({"d": [d] * samples}) for d in range(len(shares))]
    order = datasets.interleave_datasets(sources, probabilities=shares, seed=1)
    return order[:samples]["d"]


def main() -> None:
    request = json.load(sys.stdin)
    shares, samples = request["shares"], request["samples"]
    datasets.disable_progress_bars()
    datasets.config.HF_DATASETS_CACHE = tempfile.mkdtemp()
    dataset = mixed(shares, samples)
    found = {"grain": timed(lambda n: [dataset[i] for i in range(n)], samples)}
    found["datasets"] = timed(lambda n: interleaved(shares, n), samples)
    answer = {name: {"rate": rate, "worst": worst(order, shares)} for name, (rate, order) in found.items()}
    versions = {name: version(name) for name in found}
    print(json.dumps({"found": answer, "versions": versions, "elastic": elastic(shares)}))


if __name__ == "__main__":
    main()
