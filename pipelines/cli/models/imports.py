"""The command import: prototypes, pseudo labels and spectrograms that others published."""

from collections.abc import Callable
from typing import Annotated, Any

import tyro
from tyro.conf import Positional

from cluster.outputs import check_job_outputs
from pipelines.cli.kinds import command_of_kinds
from pipelines.cli.types import Dataset, Flag, Flat, Out
from pipelines.runtime.files.inputs import DATASET, FILE, FOLDER, WEIGHTS, checked
from pipelines.runtime.lines import print_result
from pipelines.runtime.tables import print_dataset
from pipelines.runtime.workers.reach import joined
from pipelines.stages.settings import ImportSettings


def prototypes(
    file: Positional[Annotated[str, tyro.conf.arg(metavar="FILE")]], out: Out, fresh: Flag = False
) -> None:
    """Take the means of a Gaussian mixture as prototypes, as PMAM publishes them.

    `pmam pretrain` and `pmam run --prototypes OUT --posteriors ...` start from OUT.

    Args:
        file: Path or URL of a tensor of means (K, D), such as gmm_means.pt.
        out: Folder of the prototypes.
        fresh: Delete what is there and start over, instead of keeping it or going on.
    """
    check_job_outputs((out,))
    checked((WEIGHTS, file))
    from pipelines.stages.checkpoint.import_published import import_prototypes

    print_result(import_prototypes(file, out, fresh=fresh))


def posteriors(
    tables: Positional[Annotated[str, tyro.conf.arg(metavar="TABLES")]],
    dataset: Dataset,
    out: Out,
    settings: Annotated[ImportSettings, Flat] = ImportSettings(),
    address: str | None = None,
    fresh: Flag = False,
) -> None:
    """Take pseudo labels as the posteriors of a dataset's clips, as PMAM publishes them.

    Args:
        tables: Folder with one table per clip (onset, offset, 0, 1, ... K - 1), named as the
            clip, such as TABLES/weak/Yabc_460.000_470.000.tsv.
        dataset: Folder of the dataset.
        out: Folder of the posteriors.
        settings: Which clips.
        address: Address of a Ray cluster; by default Ray runs on this machine.
        fresh: Delete what is there and start over, instead of keeping it or going on.
    """
    with joined(address, reads=checked((FOLDER, tables), (DATASET, dataset)), writes=(out,)):
        from pipelines.stages.checkpoint.import_published import import_posteriors

        print_result(import_posteriors(tables, dataset, out, settings, fresh=fresh))


def published(
    dataset: Dataset,
    out: Out,
    labels: str | None = None,
    mixture: str | None = None,
    settings: Annotated[ImportSettings, Flat] = ImportSettings(),
    address: str | None = None,
    fresh: Flag = False,
) -> None:
    """Fetch the pseudo labels and the mixture that PMAM's authors published, for DESED.

    OUT then serves as prototypes and as posteriors: pmam run --preset paper --dataset DATASET
    --prototypes OUT --posteriors OUT --iterations 1.

    Args:
        dataset: Folder of the dataset, as `pmam pack DESED DATASET --source desed` writes it.
        out: Folder of the prototypes and their posteriors.
        labels: Path or URL of another archive (tar.gz) of pseudo labels, such as meta.gz;
            #sha256=... after a URL holds it to that checksum.
        mixture: Path or URL of another archive (tar.gz) with gmm_means.pt, such as tokenizer.gz.
        settings: Which clips.
        address: Address of a Ray cluster; by default Ray runs on this machine.
        fresh: Delete what is there and start over, instead of keeping it or going on.
    """
    archives = {"labels": labels, "mixture": mixture}
    given = {kind: place for kind, place in archives.items() if place is not None}
    checked(*((WEIGHTS, place) for place in given.values()))  # this process alone reads them
    with joined(address, reads=checked((DATASET, dataset)), writes=(out,)):
        from pipelines.stages.checkpoint.import_published import import_published

        print_result(import_published(dataset, out, settings, **given, fresh=fresh))


def logmel(
    file: Positional[Annotated[str, tyro.conf.arg(metavar="FILE")]], out: Out, fresh: Flag = False
) -> None:
    """Take log-mel spectrograms of the MTL repository as a dataset for `pmam train-weak`.

    FILE is logmel_snr_0.h5, _10 or _20, with mixture.yaml in its folder or in the one above, which
    names classes and events. Needs h5py: pip install 'pmam[h5]'.

    Args:
        file: Path or URL of the file.
        out: Folder of the dataset, whose shards hold spectrograms instead of audio.
        fresh: Delete what is there and start over, instead of keeping it or going on.
    """
    check_job_outputs((out,))
    checked((FILE, file))
    from pipelines.stages.weak_labels.import_h5 import import_logmel

    print_dataset(import_logmel(file, out, fresh=fresh))


KINDS: dict[str, Callable[..., Any]] = {
    "prototypes": prototypes,
    "posteriors": posteriors,
    "published": published,
    "logmel": logmel,
}


import_ = command_of_kinds(
    "pmam import",
    "Take over what others published, so that a run can start from it.",
    KINDS,
)
