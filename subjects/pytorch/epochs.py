"""Epochs of PyTorch's DataLoader at another program's command, for bench/loaders/pytorch_epochs.h.

`--socket N`: a stream socket. For each line that comes in it runs one epoch of the job of BATCH71_CONFIG, from
iter(loader) until the last batch was taken, and answers with one line of JSON:
    {"epoch": 0, "seconds": 0.21, "indices": [...]}     in the order of the batches
A line that is not empty names a file: the features of that epoch are written to it, as they come (float32).
"""
import argparse
import json
import os
import time

import torch

import audio_job


def run_epoch(loader, path):
    begin = time.perf_counter()
    indices = []
    batches = []
    for batch in loader:
        indices += batch[0]
        if path:
            batches.append(batch[1])
    seconds = time.perf_counter() - begin
    if path:
        with open(path, "wb") as file:
            for features in batches:
                file.write(features.contiguous().numpy().tobytes())
    return {"seconds": seconds, "indices": indices}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--socket", type=int, required=True)
    socket = parser.parse_args().socket
    torch.set_num_threads(1)  # as DataLoader's workers have it, and the reference's
    settings = audio_job.Settings.read(audio_job.read_config()["train_ds"])
    dataset = audio_job.AudioDataset(settings, 0, audio_job.UserHooks())
    sampler, loader = audio_job.make_loader(settings, dataset, rank=0, world_size=1)
    with os.fdopen(socket, "r", encoding="utf-8", closefd=False) as commands:
        for epoch, line in enumerate(commands):
            sampler.set_epoch(epoch)
            dataset.set_epoch(epoch)
            answer = {"epoch": epoch, **run_epoch(loader, line.strip())}
            os.write(socket, (json.dumps(answer) + "\n").encode())


if __name__ == "__main__":
    main()
