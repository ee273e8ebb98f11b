"""One function per stage: what the command line shows of it."""

from typing import Annotated, Literal

import tyro
from tyro.conf import Positional

from cluster.outputs import check_job_outputs
from pipelines.cli.types import Dataset, Flag, Flat, Out
from pipelines.runtime.errors import PipelineError
from pipelines.runtime.files.inputs import (
    CHECKPOINT,
    DATASET,
    FOLDER,
    PROTOTYPES,
    STAGE,
    WEIGHTS,
    checked,
)
from pipelines.runtime.identity import overlaid
from pipelines.runtime.lines import print_result
from pipelines.runtime.tables import print_dataset
from pipelines.runtime.workers.reach import joined
from pipelines.stages.evaluate.settings import EvaluateSettings
from pipelines.stages.fit.settings import FitSettings
from pipelines.stages.settings import (
    SOUNDSCAPE_PRESETS,
    EmbedSettings,
    LabelSettings,
    PackSettings,
    ScoreSettings,
    SoundscapesSettings,
)
from pmam.encoders.settings import EncoderSettings


def soundscapes(
    foreground: Positional[Annotated[str, tyro.conf.arg(metavar="FOREGROUND")]],
    out: Out,
    background: str | None = None,
    preset: Literal["mtl"] | None = None,
    settings: Annotated[SoundscapesSettings, Flat] = SoundscapesSettings(),
    fresh: Flag = False,
) -> None:
    """Mix recordings of single events into soundscapes with strong labels, as Scaper does.

    Events are trimmed by energy; no source recording is in two splits; the same settings give
    the same bytes. OUT gets audio and DESED-style tables, which `pmam pack OUT DATASET` reads.
    Of a cross-validation (--preset mtl) it gets mixture.yaml, which `--source mtl` reads; with
    --shards it is a dataset already.

    Args:
        foreground: Folder of event recordings: one sub-folder per class, or as --table says.
        out: Folder of the soundscapes.
        background: Folder of backgrounds; without one, give --background-classes.
        preset: Settings that others are given on top of: mtl, mixtures for `pmam train-weak`.
        settings: Classes, splits, counts and scenes.
        fresh: Delete what is there and start over, instead of keeping it or going on.
    """
    reads = checked((FOLDER, foreground), (FOLDER, background))
    with joined(None, reads=reads, writes=(out,)):
        from pipelines.stages.soundscapes.stage import soundscapes as stage

        chosen = settings if preset is None else overlaid(SOUNDSCAPE_PRESETS[preset], settings)
        url = stage(foreground, background, out, chosen, fresh=fresh)
    print_result(url)


def pack(
    source_folder: Positional[Annotated[str, tyro.conf.arg(metavar="SOURCE")]],
    out: Out,
    settings: Annotated[PackSettings, Flat] = PackSettings(),
    address: str | None = None,
    fresh: Flag = False,
    allow_pipe: Flag = False,
) -> None:
    """Pack audio and labels into WebDataset shards with an index.

    The source `folder` reads SOURCE/<subset>/*.wav|flac|ogg|mp3 with label tables
    SOURCE/<subset>.tsv: filename, onset, offset, event_label (strong) or filename, event_labels
    (weak). Subsets: strong, weak, unlabeled, synthetic, validation, test.

    The source `webdataset` reads a folder of tars, or a list of them at URLs such as
    https://host/train-{000..120}.tar or hf://datasets/NAME/train.tar, each once, from start to end.

    Args:
        source_folder: What is packed: a folder or URL, laid out as --source says.
        out: Folder of the dataset.
        settings: Source, codec, shard size.
        address: Address of a Ray cluster; by default Ray runs on this machine.
        fresh: Delete what is there and start over, instead of keeping it or going on.
        allow_pipe: Let SOURCE be commands of the shell whose output is a tar: 'pipe:COMMAND'.
    """
    from pipelines.stages.pack.streams import shard_streams

    # Streams are told of by who reads them: they may be commands.
    if not shard_streams(source_folder, settings.source, allow_pipe=allow_pipe):
        checked((FOLDER, source_folder))
    with joined(address, reads=(source_folder,), writes=(out,)):
        from pipelines.stages.pack.stage import pack as stage

        print_dataset(stage(source_folder, out, settings, fresh=fresh, allow_pipe=allow_pipe))


def embed(
    dataset: Dataset,
    out: Out,
    encoder: EncoderSettings = EncoderSettings(),
    model: str | None = None,
    settings: Annotated[EmbedSettings, Flat] = EmbedSettings(),
    address: str | None = None,
    fresh: Flag = False,
) -> None:
    """Compute frame embeddings of a dataset's clips.

    Args:
        dataset: Folder of the dataset.
        out: Folder of the embeddings.
        encoder: The encoder; it is calibrated on training clips first.
        model: Checkpoint of a pretrained model or detector to embed with, instead of --encoder.
        settings: Layer, subsets, sampling.
        address: Address of a Ray cluster; by default Ray runs on this machine.
        fresh: Delete what is there and start over, instead of keeping it or going on.
    """
    chosen = None if model else encoder
    reads = checked((DATASET, dataset), (CHECKPOINT, model), (WEIGHTS, encoder.weights))
    with joined(address, reads=reads, writes=(out,)):
        from pipelines.stages.embed import embed as stage

        print_result(stage(dataset, out, settings, encoder=chosen, model=model, fresh=fresh))


def fit(
    dataset: Dataset,
    embeddings: Positional[Annotated[str, tyro.conf.arg(metavar="EMBEDDINGS")]],
    out: Out,
    settings: Annotated[FitSettings, Flat] = FitSettings(),
    before: str | None = None,
    address: str | None = None,
    fresh: Flag = False,
) -> None:
    """Fit prototypes to the embeddings of training clips, by a Gaussian mixture or k-means.

    Of several numbers (`--k 10,20,30,50`) each is tried and the best one taken; shapes likewise
    (`--covariance auto --pca auto`). All stay in OUT/candidates, with what they are worth in
    OUT/sweep.json and OUT/sweep.png.

    Embeddings are read from disk in blocks, and need not fit in memory. Killed, the same command
    goes on after the last finished iteration, on any number of workers. What is wrong with a fit
    is told as "bad fit", with what to do about it.

    The next command is `pmam label`; and `pmam prototypes` tells what each prototype is.

    Args:
        dataset: Folder of the dataset.
        embeddings: Folder of the embeddings, as `pmam embed` wrote it.
        out: Folder of the prototypes.
        settings: Number and kind of prototypes.
        before: Folder of the posteriors of the previous iteration, as `pmam label` wrote it: tells
            how far prototypes moved, and lets --warm-start begin with them.
        address: Address of a Ray cluster, for its workers; by default this machine does the work.
        fresh: Delete what is there and start over, instead of keeping it or going on.
    """
    if settings.warm_start and before is None:
        raise PipelineError("--warm-start: give --before, the posteriors of the iteration before")
    check_job_outputs((out,))
    reads = checked((DATASET, dataset), (STAGE, embeddings), (STAGE, before))
    with joined(address, reads=reads, writes=(out,)):
        from pipelines.stages.fit.report import print_sweep
        from pipelines.stages.fit.stage import fit as stage

        url = stage(dataset, embeddings, out, settings, before=before, fresh=fresh)
    print_sweep(url)
    print_result(url)


def label(
    dataset: Dataset,
    prototypes: Positional[Annotated[str, tyro.conf.arg(metavar="PROTOTYPES")]],
    out: Out,
    checkpoint: str,
    settings: Annotated[LabelSettings, Flat] = LabelSettings(),
    address: str | None = None,
    fresh: Flag = False,
) -> None:
    """Compute the prototypes' posteriors of each frame of each training clip.

    Args:
        dataset: Folder of the dataset.
        prototypes: Folder of the prototypes, as `pmam fit` wrote it.
        out: Folder of the posteriors.
        checkpoint: The encoder (EMBEDDINGS/encoder) or model that the embeddings came from.
        settings: Layer and subsets.
        address: Address of a Ray cluster; by default Ray runs on this machine.
        fresh: Delete what is there and start over, instead of keeping it or going on.
    """
    reads = checked((DATASET, dataset), (PROTOTYPES, prototypes), (CHECKPOINT, checkpoint))
    with joined(address, reads=reads, writes=(out,)):
        from pipelines.stages.label import label as stage

        print_result(
            stage(dataset, out, settings, checkpoint=checkpoint, prototypes=prototypes, fresh=fresh)
        )


def score(
    dataset: Dataset,
    out: Out,
    checkpoint: str,
    settings: Annotated[ScoreSettings, Flat] = ScoreSettings(),
    format: Literal["tsv", "npz"] | None = None,
    address: str | None = None,
    fresh: Flag = False,
) -> None:
    """Compute a detector's probabilities for each frame of a dataset's clips.

    Args:
        dataset: Folder of the dataset.
        out: Folder of the scores.
        checkpoint: Checkpoint of the detector, as `pmam finetune` wrote it.
        settings: Subsets and windows.
        format: Format of files that other programs read, one for each clip beside the scores: a
            table as sed_scores_eval takes it, or NumPy's; by default none.
        address: Address of a Ray cluster; by default Ray runs on this machine.
        fresh: Delete what is there and start over, instead of keeping it or going on.
    """
    reads = checked((DATASET, dataset), (CHECKPOINT, checkpoint))
    with joined(address, reads=reads, writes=(out,)):
        from pipelines.stages.score import export_scores
        from pipelines.stages.score import score as stage

        url = stage(dataset, out, settings, checkpoint=checkpoint, fresh=fresh)
        if format is not None:
            export_scores(dataset, url, format)
        print_result(url)


def evaluate(
    truth: Positional[Annotated[str, tyro.conf.arg(metavar="TRUTH")]],
    scores: Positional[Annotated[tuple[str, ...], tyro.conf.arg(metavar="SCORES...")]],
    out: str | None = None,
    durations: str | None = None,
    audio: str | None = None,
    postprocess: str | None = None,
    settings: Annotated[EvaluateSettings, Flat] = EvaluateSettings(),
    fresh: Flag = False,
) -> None:
    """Compare any system's scores or events with strong labels: PSDS, F1, error rates, AP, AUC.

    SCORES are what `pmam score` wrote; a folder with a score table of each clip, as
    sed_scores_eval and the baselines of DCASE write them (TSV or CSV: onset, offset, a column for
    each class), or with .npz files; or detected events: a table, or a folder of tables, one for
    each operating point. Of several systems, the first is compared with each other one over the
    same resamples. Scores of others are taken as they are, at the threshold 0.5, unless options say
    otherwise.

    OUT gets every number with its interval in metrics.csv and metrics.json, a row for each metric,
    class and subset; differences of systems in differences.csv; the curves of PSDS in psd_roc.csv.

    Args:
        truth: A packed dataset; or a table of events, in any format that `pmam detect` writes.
        scores: Scores or events of one or several systems.
        out: Folder of the results.
        durations: Table with the columns filename and duration, for a truth that is a table.
        audio: Folder of the recordings instead, whose lengths are measured.
        postprocess: File postprocess.json of another evaluation, whose windows and thresholds, as
            --choose.metric chose them on validation clips, take the place of the systems' own.
        settings: Subsets, metrics, intervals, and post-processing other than the detector's.
        fresh: Delete what is there and start over, instead of keeping it or going on.
    """
    from pipelines.stages.evaluate.places import check_places

    out = check_places(truth, scores, (durations, audio, postprocess), out)
    check_job_outputs((out,))
    from pipelines.stages.evaluate.show import print_evaluation
    from pipelines.stages.evaluate.stage import evaluate as stage

    url = stage(
        *(truth, scores, out, settings),
        durations=durations,
        audio=audio,
        postprocess=postprocess,
        fresh=fresh,
    )
    print_evaluation(url)
    print_result(out)
