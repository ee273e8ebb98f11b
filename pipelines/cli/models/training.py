"""The commands that train: pretrain and finetune."""

from typing import Annotated

from pipelines.cli.types import Dataset, Flag, Flat, Out
from pipelines.runtime.files.inputs import CHECKPOINT, DATASET, PROTOTYPES, STAGE, checked
from pipelines.runtime.lines import print_result
from pipelines.runtime.workers.reach import joined
from pipelines.stages.settings import FinetuneSettings, PretrainSettings


def pretrain(
    dataset: Dataset,
    out: Out,
    posteriors: str,
    prototypes: str,
    start: str,
    cached_inputs: str | None = None,
    settings: Annotated[PretrainSettings, Flat] = PretrainSettings(),
    address: str | None = None,
    fresh: Flag = False,
) -> None:
    """Train a masked audio model to predict the posteriors of masked frames.

    Args:
        dataset: Folder of the dataset.
        out: Folder of the pretrained model.
        posteriors: Folder of the posteriors, as `pmam label` wrote it.
        prototypes: Folder of the prototypes, as `pmam fit` wrote it.
        start: Checkpoint to start from: an encoder (EMBEDDINGS/encoder), or a pretrained model.
        cached_inputs: Folder of encoder inputs, as `pmam embed --layer input --keep-every 1` wrote
            it, to train on instead of audio.
        settings: Context network, masking, training.
        address: Address of a Ray cluster; by default Ray runs on this machine.
        fresh: Delete what is there and start over, instead of keeping it or going on.
    """
    reads = checked(
        (DATASET, dataset),
        (STAGE, posteriors),
        (PROTOTYPES, prototypes),
        (CHECKPOINT, start),
        (STAGE, cached_inputs),
    )
    with joined(address, reads=reads, writes=(out,)):
        from pipelines.stages.pretrain import pretrain as stage

        print_result(
            stage(
                dataset,
                out,
                settings,
                posteriors=posteriors,
                prototypes=prototypes,
                start=start,
                cached_inputs=cached_inputs,
                fresh=fresh,
            )
        )


def finetune(
    dataset: Dataset,
    out: Out,
    start: str,
    cached_inputs: str | None = None,
    posteriors: str | None = None,
    prototypes: str | None = None,
    settings: Annotated[FinetuneSettings, Flat] = FinetuneSettings(),
    address: str | None = None,
    fresh: Flag = False,
) -> None:
    """Train a detector on strong, weak and unlabelled clips, with a mean teacher.

    Args:
        dataset: Folder of the dataset.
        out: Folder of the detector.
        start: Checkpoint to start from: a pretrained model, or an encoder for labels alone.
        cached_inputs: Folder of encoder inputs, as `pmam embed --layer input --keep-every 1` wrote
            it, to train on instead of audio.
        posteriors: Folder of the posteriors that the auxiliary loss predicts (--auxiliary.weight).
        prototypes: Folder of the prototypes that these posteriors are of.
        settings: Losses, teacher, training.
        address: Address of a Ray cluster; by default Ray runs on this machine.
        fresh: Delete what is there and start over, instead of keeping it or going on.
    """
    reads = checked(
        (DATASET, dataset),
        (CHECKPOINT, start),
        (STAGE, cached_inputs),
        (STAGE, posteriors),
        (PROTOTYPES, prototypes),
    )
    with joined(address, reads=reads, writes=(out,)):
        from pipelines.stages.finetune import finetune as stage

        print_result(
            stage(
                dataset,
                out,
                settings,
                start=start,
                cached_inputs=cached_inputs,
                posteriors=posteriors,
                prototypes=prototypes,
                fresh=fresh,
            )
        )
