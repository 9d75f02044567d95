"""One rank of a job as PyTorch's users write it: DistributedSampler, DataLoader, DistributedDataParallel.

A subject of the fault gate (docs/subjects.md) and one side of docs/peers.md. `--timeouts`: with the guards that
PyTorch has: the DataLoader's timeout is the job's `item_deadline_ms`, its collectives' timeout
`collective_deadline_ms`. Tells on stdout when it was where: `loaded`, `met`, `first_batch`, CLOCK_MONOTONIC.
"""
import argparse
import datetime
import json
import math
import os
import time
import zlib

import torch
import torch.distributed as dist

import audio_job

MOST_CLASSES = 16


def say(what):
    print(what, time.monotonic_ns(), flush=True)


class Model(torch.nn.Module):
    """One convolution over the frames, their mean, one layer: as subjects/naive_main.cc has it."""

    def __init__(self, channels):
        super().__init__()
        self.convolution = torch.nn.Conv1d(channels, 16, 5, stride=4, padding=2)
        self.head = torch.nn.Linear(16, MOST_CLASSES)

    def forward(self, features):
        return self.head(self.convolution(features).relu().mean(2))


class Ledger:
    """What was consumed; one line a batch, as docs/subjects.md says."""

    def __init__(self, rank):
        self._rank = rank
        path = os.environ.get("BATCH71_LEDGER")
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        self._fd = os.open(path, flags, 0o600) if path else None

    def write(self, line):
        if self._fd is not None:
            os.write(self._fd, (json.dumps({"rank": self._rank, **line}) + "\n").encode())

    def consumed(self, epoch, number, step, batch, loss):
        if self._fd is None:
            return
        indices, features, lengths, _ = batch
        checksums = [
            f"{zlib.crc32(item[:, :length].contiguous().numpy().tobytes()):08x}"
            for item, length in zip(features, lengths.tolist())]
        line = {"epoch": epoch, "batch": number, "indices": indices, "dummies": [], "checksums": checksums,
                "step": step}
        if math.isfinite(loss):
            line["loss"] = loss
        self.write(line)


def meet(guards, has_timeouts):
    """The process group of all ranks, and the one that gradients are averaged over (None: that one)."""
    # DDP's constructor would, each rank in its own time.
    import torch._dynamo  # noqa: F401, pylint: disable=import-outside-toplevel

    dist.init_process_group("gloo")
    if not has_timeouts:
        return None
    dist.barrier()  # here they may wait for each other; from here on not for long
    return dist.new_group(timeout=datetime.timedelta(milliseconds=guards["collective_deadline_ms"]))


def train(hooks, has_timeouts):
    rank, world_size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    config = audio_job.read_config()
    settings = audio_job.Settings.read(config["train_ds"])
    guards, trainer = config.get("guards") or {}, config.get("trainer") or {}
    group = meet(guards, has_timeouts)
    dataset = audio_job.AudioDataset(settings, rank, hooks)
    torch.manual_seed(trainer.get("model_seed", 0))
    model = torch.nn.parallel.DistributedDataParallel(Model(dataset.channels), process_group=group)
    optimizer = torch.optim.SGD(model.parameters(), lr=trainer.get("lr", 0.05))
    timeout_s = guards["item_deadline_ms"] / 1000 if has_timeouts else 0
    sampler, loader = audio_job.make_loader(settings, dataset, rank, world_size, timeout_s)
    ledger = Ledger(rank)
    most_steps = trainer.get("max_steps", -1)
    step = 0
    say("met")
    for epoch in range(trainer.get("max_epochs", 1)):
        sampler.set_epoch(epoch)
        dataset.set_epoch(epoch)
        hooks.call("user_set_epoch", epoch)
        for number, batch in enumerate(loader):
            if step == 0:
                say("first_batch")
            _, features, _, labels = batch
            hooks.call("user_step", number)
            outputs = model(features)
            loss = torch.nn.functional.cross_entropy(outputs, labels)
            if hooks.call("user_loss", number):
                loss = loss * math.nan
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            ledger.consumed(epoch, number, step, batch, loss.item())
            step += 1
            if step == most_steps:
                break
        if step == most_steps:
            break
    ledger.write({"done": True, "steps": step, "dummies": 0})
    dist.destroy_process_group()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hooks", required=True, help="libuser_hooks.so")
    parser.add_argument("--timeouts", action="store_true", help="with the guards that PyTorch has")
    options = parser.parse_args()
    say("loaded")
    train(audio_job.UserHooks(options.hooks), options.timeouts)


if __name__ == "__main__":
    main()
