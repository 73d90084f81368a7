"""Which way of computing attention is fastest on this machine: ``python -m benchmarks.attention [--model NAME]``.

The shapes are those of one tracked frame with a full memory bank. The column ``attend`` is what the model does; the
others hold more or fewer scores at a time, or call PyTorch's own kernel. Each is relative to ``attend``: below 1.00 is
faster.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor

from sam2_core.config import MEMORY_FRAMES, POINTER_FRAMES, PRESETS, ModelConfig
from sam2_core.model import layers

EXPONENTS = (18, 20, 21, 22, 23, 24, 26)
"""Powers of two of the scores that are held at a time."""
SECONDS = 0.5
"""Time that one cell of the table takes at least, apart from a first call."""

Qkv = tuple[Tensor, Tensor, Tensor]
Variant = Callable[[Tensor, Tensor, Tensor], Tensor]


def shapes(config: ModelConfig, dtype: torch.dtype) -> dict[str, Qkv]:
    """Queries, keys and values by name, in the memory layout in which the model has them."""
    found = {}
    for stage, window in enumerate(config.windows):
        side = config.grid * 4 // 2**stage
        heads, dim = config.num_heads * 2**stage, config.embed_dim * 2**stage
        windows = (-(-side // window)) ** 2
        found[f"stage {stage + 1}: {windows} windows of {window}²"] = heads_of(windows, window**2, heads, dim, dtype)
        firsts = [sum(config.stages[:n]) for n in range(5)]
        if any(firsts[stage] <= block < firsts[stage + 1] for block in config.global_blocks):
            found[f"stage {stage + 1}: whole map of {side}²"] = heads_of(1, side**2, heads, dim, dtype)
    tokens = config.grid**2
    memory = MEMORY_FRAMES * tokens + POINTER_FRAMES * config.model_dim // config.memory_dim
    query = torch.randn(1, tokens, config.model_dim, dtype=dtype)
    found[f"memory: self, {tokens}"] = (query, torch.randn_like(query), torch.randn_like(query))
    keys, values = (torch.randn(1, memory, dim, dtype=dtype) for dim in (config.model_dim, config.memory_dim))
    found[f"memory: cross, {tokens} x {memory}"] = (query, keys, values)
    return found


def heads_of(batch: int, tokens: int, heads: int, dim: int, dtype: torch.dtype) -> Qkv:
    """Three views ``[batch, heads, tokens, dim / heads]`` of one projection."""
    parts = torch.randn(batch, tokens, 3 * dim, dtype=dtype).chunk(3, dim=-1)
    q, k, v = (part.unflatten(-1, (heads, -1)).transpose(1, 2) for part in parts)
    return q, k, v


def kernel(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """PyTorch's own, with values as wide as keys: it has no fast path for others."""
    padded = F.pad(v, (0, q.shape[-1] - v.shape[-1]))
    return F.scaled_dot_product_attention(q, k, padded)[..., : v.shape[-1]]


def chunked(exponent: int) -> Variant:
    """``attend`` with another number of scores at a time."""

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        with mock.patch.object(layers, "_SCORES_AT_ONCE", 2**exponent):
            return layers.attend(q, k, v)

    return attend


def seconds(variants: Sequence[Variant], qkv: Qkv) -> list[float]:
    """Least time of each, taking turns, after a first call: what else the machine does can only add to it."""
    for variant in variants:
        variant(*qkv)
    rounds: list[list[float]] = []
    while len(rounds) < 3 or sum(map(sum, rounds)) < SECONDS * len(variants):
        rounds.append([])
        for variant in variants:
            start = time.perf_counter()
            variant(*qkv)
            rounds[-1].append(time.perf_counter() - start)
    return [min(times) for times in zip(*rounds, strict=True)]


@torch.inference_mode()
def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=PRESETS, default="sam2.1-hiera-tiny")
    parser.add_argument("--size", type=int, help="image size; the model's own by default")
    args = parser.parse_args()
    config = PRESETS[args.model]
    config = config.at_size(args.size) if args.size else config
    variants = {"kernel": kernel, **{f"2^{exponent}": chunked(exponent) for exponent in EXPONENTS}}
    for dtype in (torch.float32, torch.bfloat16):
        print(f"\n{config.name} at {config.image_size}, {dtype}, {torch.get_num_threads()} threads")
        print(f"{'':42}{'attend':>10}" + "".join(f"{name:>8}" for name in variants))
        for name, qkv in shapes(config, dtype).items():
            base, *others = seconds([layers.attend, *variants.values()], qkv)
            print(f"{name:42}{base * 1e3:>7.1f} ms" + "".join(f"{other / base:>8.2f}" for other in others), flush=True)


if __name__ == "__main__":
    main()
