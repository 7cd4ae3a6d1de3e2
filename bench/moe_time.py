"""Where the time of a step goes, by kind of operation, for bench/moe.py: self times of torch's profiler.

Products and attention are what a step of these shapes cannot do without; the rest is what an implementation adds. The
profiler makes small operations dearer than they are: shares say where to look, bench/moe.py's seconds what it costs.
"""

from collections.abc import Callable, Mapping

from torch.profiler import ProfilerActivity, profile

KINDS = {  # by what stands in the name of an operation; the first that fits
    "attention": ("scaled_dot_product",),
    "products": ("::mm", "::bmm", "::addmm", "::addmv", "_grouped_mm", "::linear", "::matmul"),
    "optimizer": ("adamw", "AdamW", "linalg_vector_norm_foreach", "_foreach"),
    "moving": ("index", "scatter", "gather", "::cat", "copy", "sort", "topk", "embedding", "fill_", "::empty", "zero"),
    "one by one": ("::",),
}


def by_kind(work: Callable[[], object]) -> Mapping[str, float]:
    """Milliseconds of a call of ``work``, by kind; ``python`` is what no operation of torch's own takes."""
    work()
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        work()
    found = dict.fromkeys((*KINDS, "python"), 0.0)
    for one in seen.key_averages():
        kind = next((kind for kind, names in KINDS.items() if any(name in one.key for name in names)), "python")
        found[kind] += one.self_cpu_time_total / 1e3
    return found
