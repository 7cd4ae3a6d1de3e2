"""What the tiny texts compile is what the stages use: nothing is left to compile behind them."""

import subprocess
import sys

SCRIPT = """
import sys
from gristmill.tokenizer import _kernels, _kernels_bpe, _kernels_spans, _kernels_spelling, tiny_tokens
from gristmill.tokenizer import _kernels_patterns
from numba.core.dispatcher import Dispatcher

def compiled():
    modules = (_kernels, _kernels_bpe, _kernels_patterns, _kernels_spans, _kernels_spelling)
    found = [(m.__name__, name, f) for m in modules for name, f in vars(m).items() if isinstance(f, Dispatcher)]
    return {(module, name): list(f.signatures) for module, name, f in found}

tiny_tokens.train_encode_and_pack()
before = compiled()
long = "many different words " * 200 + "and letters: \\u00e9\\u4e00\\u0e01 \\U0001f600 1234"
tiny_tokens.TEXTS = (long, "again the same words " * 99)
tiny_tokens.train_encode_and_pack()
sys.exit(str(set(map(str, compiled().items())) - set(map(str, before.items()))) if compiled() != before else 0)
"""


def test_tiny_texts_compile_all_that_the_stages_need():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
