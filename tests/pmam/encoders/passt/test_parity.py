"""PaSST and the CNN branch against numbers of the reference."""

from pathlib import Path

import numpy as np
import torch
from parity_rule import assert_close, load, mel, tensors

from pmam.encoders.cnn import CNN, resample_frames
from pmam.encoders.passt.state_dict_names import passt_tensors
from pmam.encoders.passt.transformer import PaSST, PaSSTSettings
from pmam.models.importers.transformer4sed import our_name
from pmam.models.state_dict import load_fitting


def test_passt_matches_the_reference(parity_dir: Path) -> None:
    meta, expected = load(parity_dir, "02_passt_backbone")
    passt = PaSST(PaSSTSettings()).eval()
    load_fitting(passt, passt_tensors(tensors(meta)))
    logmel = torch.from_numpy(mel(meta["seed"], 2)[:1])
    with torch.inference_mode():
        patches = passt.patch_embed(logmel.unsqueeze(1))
        layers = passt.layers(logmel, (1, 10, 12))
        short = passt.layers(logmel[..., 96:608], (10,))[0]
        frame = passt.norm(layers[-1])
    assert patches.shape == (1, 768, meta["grid"]["f_dim"], meta["grid"]["t_dim"])
    assert_close(meta, expected, "patch_embed", patches[:, ::13, :, ::7])
    names = ("layer1_out", "layer10_out", "layer12_out", "frame", "T512_layer10_out")
    for name, tokens in zip(names, (*layers, frame, short), strict=True):
        assert_close(meta, expected, name, tokens.transpose(1, 2)[:, ::13, ::11])


def test_cnn_matches_the_reference(parity_dir: Path) -> None:
    meta, expected = load(parity_dir, "06_cnn_branch")
    cnn = CNN().eval()
    prefix = "backbone.encoder.cnn."
    load_fitting(cnn, {str(our_name(k)).removeprefix(prefix): v for k, v in tensors(meta).items()})
    logmel = torch.from_numpy(mel(meta["seed"], 2)).transpose(1, 2)
    stages = cnn.stages
    with torch.inference_mode():
        normed = stages[0].norm(stages[0].conv(logmel.unsqueeze(1)))
        gated = stages[0].gate(normed)
        pooled = stages[2](stages[1](stages[0].pool(gated)))
        y = cnn(logmel)
        upsampled = resample_frames(y, 1000)
    assert_close(meta, expected, "batchnorm0", normed[:, ::3, ::41, ::13])
    assert_close(meta, expected, "cg0", gated[:, ::3, ::41, ::13])
    assert_close(meta, expected, "pooling2", pooled[:, ::3, ::41, ::5])
    assert_close(meta, expected, "y", y.transpose(1, 2)[:, ::5, ::3, None])
    assert_close(meta, expected, "upsampled", upsampled[:, ::13, ::7])
    assert np.isfinite(upsampled.numpy()).all()
