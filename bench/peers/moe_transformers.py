"""transformers' Qwen3Moe as bench/moe.py runs it: the same parts of a step, and generate."""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

IMPLEMENTATIONS = ("grouped_mm", "eager")


class Peer:
    """One implementation of the experts, on rows of documents whose positions say where each begins.

    Parameters
    ----------
    tokens, positions : int64[B, L]
    """

    def __init__(self, folder: Path, implementation: str, tokens: Tensor, positions: Tensor, precision: str):
        import transformers

        transformers.utils.logging.disable_progress_bar()
        self.model = transformers.AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, experts_implementation=implementation, local_files_only=True
        ).train()
        self._inputs = {"input_ids": tokens, "position_ids": positions, "use_cache": False}
        self._labels = tokens.masked_fill(positions == 0, -100)  # the loss shifts them
        self._reduced = precision == "bfloat16"
        learnt = [
            weight for name, weight in self.model.named_parameters() if "embed_tokens" not in name
        ]  # ours is tied
        self._optimizer = torch.optim.AdamW(learnt, lr=1e-4, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
        self._upstream: Tensor | None = None

    def _format(self) -> torch.autocast:
        return torch.autocast("cpu", torch.bfloat16, enabled=self._reduced)

    def logits(self) -> Tensor:
        """Of every token, [B * L, V]."""
        with torch.no_grad(), self._format():
            return self.model(**self._inputs).logits.flatten(0, 1).float()

    def whole(self) -> None:
        with self._format():
            loss = self.model(**self._inputs, labels=self._labels).loss
        loss.backward()
        self.update()

    def body(self) -> None:
        """Forward and backward up to the last hidden states."""
        with self._format():
            hidden = self.model.model(**self._inputs).last_hidden_state
        hidden.backward(torch.ones_like(hidden) * 1e-4)
        self._upstream = hidden.detach()

    def head(self) -> None:
        """Output matrix and loss, forward and backward."""
        assert self._upstream is not None
        hidden = self._upstream.requires_grad_()
        with self._format():
            logits = self.model.lm_head(hidden)
        ahead = functional.pad(self._labels, (0, 1), value=-100)[:, 1:].flatten()
        functional.cross_entropy(logits.float().flatten(0, 1), ahead, ignore_index=-100).backward()

    def update(self) -> None:
        """Clip and optimizer."""
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self._optimizer.step()
        self.model.zero_grad()


def generated(folder: Path, implementation: str, prompts: Tensor, new_tokens: int):
    """A function that goes on with ``prompts int64[B, L]`` greedily and returns int64[B, new_tokens]."""
    import transformers

    model = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, experts_implementation=implementation, local_files_only=True
    ).eval()
    options = {"max_new_tokens": new_tokens, "min_new_tokens": new_tokens, "do_sample": False, "pad_token_id": 0}
    return lambda: model.generate(prompts, attention_mask=torch.ones_like(prompts), **options)[:, prompts.shape[1] :]
