"""Where M2D looks in a recording: the attention that each patch of a log-mel gets."""

from pathlib import PurePosixPath

import numpy as np
import numpy.typing as npt
import torch
from matplotlib.figure import Figure

from pipelines.inference.audio_inputs import AudioInput, opened
from pipelines.inference.weights import weights_file, weights_url
from pipelines.stages.tag.settings import TagError
from pmam.encoders.m2d.encoder import SIZES, encoder_for
from pmam.encoders.m2d.front_end import HOP, RATE_HZ, M2DLogMel
from pmam.encoders.m2d.state_dict_names import encoder_tensors
from pmam.encoders.m2d.transformer import M2D
from pmam.models.published import read_published
from pmam.models.state_dict import load_fitting
from shards.audio.decoding import blocks

Floats = npt.NDArray[np.float32]


def load_m2d(place: str) -> M2D:
    """The transformer in a published file, with or without a head.

    Raises:
        FetchError, CheckpointError: no weights.
        TagError, StateDictError: those of another network.
    """
    tensors = encoder_tensors(read_published(weights_file(weights_url(place))))
    name = encoder_for(tensors)
    if name is None:
        raise TagError(f"{place}: not the weights of M2D; give a file of its authors")
    model = M2D(SIZES[name])
    load_fitting(model, tensors)
    return model.eval()


@torch.inference_mode()
def attention_maps(model: M2D, samples: Floats, block: int = -1) -> tuple[Floats, Floats]:
    """Normalised log-mel `(mels, T)`, and for each head the attention that patches get.

    The second is `(heads, rows, columns)`: the mean over all patches of the attention that they
    pay to each one, times the number of tokens; 1 is an even share. M2D's tagging head reads all
    patches alike, so all count.

    Args:
        model: M2D.
        samples: `(n,)` at 16 kHz; what is longer than the table of positions is left out.
        block: whose attention; -1 is the last.

    Raises:
        TagError: shorter than a patch, or no such block.
    """
    size = model.settings
    if not -size.depth <= block < size.depth:
        raise TagError(f"block {block}: expected one from 0 to {size.depth - 1}, or -1")
    logmel = model.normalised(M2DLogMel()(torch.from_numpy(samples)[None]))
    logmel = logmel[..., : size.columns * size.patch_frames]
    if logmel.shape[2] < size.patch_frames:
        raise TagError(
            f"got {logmel.shape[2]} frames of log-mel; expected at least {size.patch_frames}, one "
            "patch: give longer audio"
        )
    weights = model.attention(logmel, block)[0]  # (heads, tokens, tokens)
    got = weights[:, 1:, 1:].mean(dim=1) * weights.shape[-1]  # of patches, to patches
    return logmel[0].numpy(), got.reshape(len(got), size.rows, -1).numpy()


def attention_figure(
    model: M2D, audio: AudioInput, start_s: float = 0.0, block: int = -1
) -> Figure:
    """Log-mel, the mean of all heads over it, and the four heads that differ most from even.

    Raises:
        AudioError: the recording cannot be read.
        TagError: as `attention_maps`, or it ends before the start.
    """
    length_s = model.settings.frames * HOP / RATE_HZ
    first, count = round(start_s * RATE_HZ), round(length_s * RATE_HZ)
    held, done = [np.zeros(0, np.float32)], 0
    with opened(audio) as handle:
        for part in blocks(handle, audio.name, sample_rate_hz=RATE_HZ, block_s=length_s):
            held.append(part[max(0, first - done) : max(0, first + count - done)])
            done += len(part)
    samples = np.concatenate(held)
    if not len(samples):
        raise TagError(
            f"{audio.name}: ends at {done / RATE_HZ:.2f} s; expected something after "
            f"{start_s:g} s: set --start-s to less"
        )
    logmel, got = attention_maps(model, samples, block)
    end_s = start_s + got.shape[2] * model.settings.patch_frames * HOP / RATE_HZ
    extent = (start_s, end_s, 0.0, float(len(logmel)))
    sharpest = np.argsort(-got.std(axis=(1, 2)), kind="stable")[:4]
    panels = [("all heads", got.mean(axis=0)), *((f"head {n}", got[n]) for n in sharpest)]
    figure = Figure(figsize=(9, 1.6 * (len(panels) + 1)), layout="constrained")
    rows = figure.subplots(len(panels) + 1, 1, sharex=True)
    end = end_s - start_s
    heard = logmel[:, : round(end * RATE_HZ / HOP)]
    rows[0].imshow(heard, origin="lower", aspect="auto", extent=extent, cmap="magma")
    rows[0].set_title(f"{PurePosixPath(audio.name).name}: log-mel", fontsize=9, loc="left")
    for axes, (title, values) in zip(rows[1:], panels, strict=True):
        image = axes.imshow(values, origin="lower", aspect="auto", extent=extent, cmap="viridis")
        axes.set_title(f"attention that patches get, {title}", fontsize=9, loc="left")
        figure.colorbar(image, ax=axes, label="of an even share", pad=0.01)
    for axes in rows:
        axes.set_ylabel("mel band")
    rows[-1].set_xlabel("time (s)")
    return figure
