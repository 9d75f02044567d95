"""The job of a BATCH71_CONFIG as PyTorch reads it: settings, dataset, sampler, DataLoader.

What one writes first with PyTorch: soundfile decodes, torch.stft makes the features, DistributedSampler
deals out, DataLoader's own workers and defaults do the rest. Nothing of batch71 is in it.
"""
import ctypes
import dataclasses
import json
import math
import os
import pathlib

import soundfile
import torch
import yaml
from torch.utils.data import DataLoader, Dataset, DistributedSampler, get_worker_info

LOG_FLOOR = 1e-6  # as loader/log_mel.h adds it


@dataclasses.dataclass
class Settings:
    """The keys of `train_ds:` that are obeyed, with the defaults of docs/config.md."""

    manifest_filepath: str
    batch_size: int = 8
    num_workers: int = 2
    persistent_workers: bool = True
    shuffle: bool = True
    seed: int = 0
    drop_last: bool = False
    sample_rate: int = 16000
    max_duration: float = 20.0
    min_duration: float = 0.0
    prefetch_factor: int = 2
    features: str = "log_mel"
    n_mels: int = 80
    n_fft: int = 512
    win_length: int = 400
    hop_length: int = 160

    @classmethod
    def read(cls, train_ds):
        for key in ("use_bucketing", "noise_manifest_filepath"):
            if train_ds.get(key):
                raise SystemExit(f"error: train_ds: {key} is not for this subject")
        known = {field.name for field in dataclasses.fields(cls)}
        return cls(**{key: value for key, value in train_ds.items() if key in known})


def read_config():
    """The whole YAML file that BATCH71_CONFIG names."""
    with open(os.environ["BATCH71_CONFIG"], encoding="utf-8") as file:
        return yaml.safe_load(file)


class UserHooks:
    """libuser_hooks.so, by its C interface (docs/subjects.md); without USER_HOOKS there is none."""

    def __init__(self, library=None):
        self._library = ctypes.CDLL(library) if "USER_HOOKS" in os.environ else None

    def __bool__(self):
        return self._library is not None

    def call(self, name, number):
        return getattr(self._library, name)(ctypes.c_int64(number)) if self else 0


class LogMel(torch.nn.Module):
    """log(MelSpectrogram + 1e-6), by the same calls that torchaudio.transforms.MelSpectrogram makes.

    torchaudio itself (2.11 is the last one) refuses to be imported beside PyTorch 2.15.
    """

    def __init__(self, settings):
        super().__init__()
        self._settings = settings
        self._window = torch.hann_window(settings.win_length)
        self._bank = self._mel_bank(settings)

    @staticmethod
    def _mel_bank(settings):
        """torchaudio.functional.melscale_fbanks(norm=None, mel_scale="htk")."""
        top_hz = settings.sample_rate // 2
        hz_of_bins = torch.linspace(0, top_hz, settings.n_fft // 2 + 1)
        mels = torch.linspace(0, 2595.0 * math.log10(1.0 + top_hz / 700.0), settings.n_mels + 2)
        edges = 700.0 * (10.0 ** (mels / 2595.0) - 1.0)
        widths = edges[1:] - edges[:-1]
        slopes = edges.unsqueeze(0) - hz_of_bins.unsqueeze(1)
        rising = -slopes[:, :-2] / widths[:-1]
        falling = slopes[:, 2:] / widths[1:]
        return torch.minimum(rising, falling).clamp_min(0)

    def forward(self, waveform):
        settings = self._settings
        spectrum = torch.stft(
            waveform, settings.n_fft, settings.hop_length, settings.win_length, self._window,
            center=True, pad_mode="reflect", onesided=True, return_complex=True)
        power = spectrum.abs().pow(2.0)
        return torch.log(torch.matmul(power.transpose(-1, -2), self._bank).transpose(-1, -2) + LOG_FLOOR)


class Waveform(torch.nn.Module):
    """The samples themselves: one channel."""

    def forward(self, waveform):
        return waveform.unsqueeze(0)


class AudioDataset(Dataset):
    """A NeMo manifest: `index -> (index, features [channels, frames], label)`."""

    def __init__(self, settings, rank, hooks):
        self._settings = settings
        self._hooks = hooks
        self._epoch = torch.zeros(1, dtype=torch.int64).share_memory_()  # seen by persistent workers, too
        self._featurizer = LogMel(settings) if settings.features == "log_mel" else Waveform()
        self.is_sharded = "{rank}" in settings.manifest_filepath
        self.channels = settings.n_mels if settings.features == "log_mel" else 1
        manifest = pathlib.Path(settings.manifest_filepath.replace("{rank}", str(rank)))
        labels = {}
        self._samples = []
        for line in manifest.read_text(encoding="utf-8").splitlines():
            entry = json.loads(line)
            if settings.min_duration <= entry["duration"] <= settings.max_duration:
                label = labels.setdefault(entry.get("label", ""), len(labels))
                self._samples.append((str(manifest.parent / entry["audio_filepath"]), label))

    def set_epoch(self, epoch):
        self._epoch[0] = epoch

    def __len__(self):
        return len(self._samples)

    def __getitem__(self, index):
        path, label = self._samples[index]
        samples, rate = soundfile.read(path, dtype="float32")
        if rate != self._settings.sample_rate or samples.ndim != 1:
            raise ValueError(f"{path}: {rate} Hz, shape {samples.shape}")
        if self._hooks:
            self._hooks.call("user_set_epoch", int(self._epoch))
            self._hooks.call("user_sample", index)
        return index, self._featurizer(torch.from_numpy(samples)), label


def collate(items):
    """Indices, features padded to the longest, lengths, labels. In a worker straight into shared memory,
    as PyTorch's own default_collate does."""
    indices, features, labels = zip(*items)
    lengths = [item.shape[1] for item in features]
    shape = (len(items), features[0].shape[0], max(lengths))
    if get_worker_info() is None:
        batch = torch.empty(shape)
    else:
        storage = features[0]._typed_storage()._new_shared(math.prod(shape), device="cpu")
        batch = features[0].new(storage).resize_(shape)
    if min(lengths) == shape[2]:
        torch.stack(features, out=batch)
    else:
        batch.zero_()
        for row, item in zip(batch, features):
            row[:, : item.shape[1]] = item
    return list(indices), batch, torch.tensor(lengths), torch.tensor(labels)


def make_loader(settings, dataset, rank, world_size, timeout_s=0):
    """DistributedSampler and DataLoader, as PyTorch's documentation puts them together."""
    sampler = DistributedSampler(
        dataset, num_replicas=1 if dataset.is_sharded else world_size,
        rank=0 if dataset.is_sharded else rank, shuffle=settings.shuffle, seed=settings.seed,
        drop_last=settings.drop_last)
    of_workers = {}
    if settings.num_workers > 0:
        of_workers = {"persistent_workers": settings.persistent_workers,
                      "prefetch_factor": settings.prefetch_factor, "timeout": timeout_s}
    loader = DataLoader(
        dataset, batch_size=settings.batch_size, sampler=sampler, num_workers=settings.num_workers,
        drop_last=settings.drop_last, collate_fn=collate, **of_workers)
    return sampler, loader
