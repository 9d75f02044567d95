#!/usr/bin/env python3
"""Writes sampler.txt: what PyTorch's randperm and DistributedSampler give, for loader/plan_test.cc.

Each line: dataset size, ranks, rank, shuffle, drop_last, seed, epoch, then the indices.
"""
import pathlib

import torch
from torch.utils.data.distributed import DistributedSampler


def lines():
    for size, ranks in ((1, 1), (10, 1), (10, 4), (13, 4), (7, 3), (64, 4), (101, 2)):
        for shuffle in (False, True):
            for drop_last in (False, True):
                for seed, epoch in ((0, 0), (0, 1), (7, 5)):
                    for rank in sorted({0, ranks - 1}):
                        sampler = DistributedSampler(
                            range(size), num_replicas=ranks, rank=rank, shuffle=shuffle, seed=seed,
                            drop_last=drop_last)
                        sampler.set_epoch(epoch)
                        numbers = [size, ranks, rank, int(shuffle), int(drop_last), seed, epoch]
                        yield " ".join(map(str, numbers + list(sampler)))


folder = pathlib.Path(__file__).parent
(folder / "sampler.txt").write_text("\n".join(lines()) + "\n", encoding="ascii")
