#!/usr/bin/env python3
"""Writes log_mel.txt: log(torchaudio MelSpectrogram + 1e-6) of a made-up signal, for log_mel_test.cc.

Blocks: "sample_rate n_fft win_length hop_length n_mels samples frames", then n_mels rows of frames.
The signal is a linear congruential generator's, so that C++ makes the very same one.
"""
import pathlib

import torch
import torchaudio


def signal(samples):
    state, values = 71, []
    for i in range(samples):
        state = (state * 1103515245 + 12345) % 2**31
        noise = (state >> 15) - 32768
        values.append((noise // 4 if (i // 300) % 2 == 0 else noise // 400) / 32768)
    return torch.tensor(values, dtype=torch.float32)


def blocks():
    for rate, n_fft, win, hop, mels, samples in (
            (16000, 512, 400, 160, 80, 1600), (16000, 512, 400, 160, 80, 1733),
            (8000, 256, 256, 80, 40, 900), (22050, 400, 301, 101, 23, 2000)):
        mel = torchaudio.transforms.MelSpectrogram(
            sample_rate=rate, n_fft=n_fft, win_length=win, hop_length=hop, n_mels=mels)
        features = torch.log(mel(signal(samples)) + 1e-6)
        yield " ".join(map(str, (rate, n_fft, win, hop, mels, samples, features.shape[1])))
        for row in features:
            yield " ".join(f"{value:.6f}" for value in row.tolist())


folder = pathlib.Path(__file__).parent
(folder / "log_mel.txt").write_text("\n".join(blocks()) + "\n", encoding="ascii")
