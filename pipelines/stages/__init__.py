"""The stages of a run, a file or a room each; none of them knows another.

`pipelines/run.py` composes them. What can be chosen of them is in `settings`.
"""

# Where each stage's function is, by the name of the function. A stage has ALGORITHM_VERSION there.
STAGES = {
    "soundscapes": "pipelines.stages.soundscapes.stage",
    "pack": "pipelines.stages.pack.stage",
    "reindex_foreign": "pipelines.stages.reindex.foreign",
    "reindex_labels": "pipelines.stages.reindex.edit",
    "reindex_merge": "pipelines.stages.reindex.edit",
    "reindex_filter": "pipelines.stages.reindex.edit",
    "measure_levels": "pipelines.stages.inspect.measure",
    "embed": "pipelines.stages.embed",
    "fit": "pipelines.stages.fit.stage",
    "label": "pipelines.stages.label",
    "survey": "pipelines.stages.prototypes.survey",
    "pretrain": "pipelines.stages.pretrain",
    "finetune": "pipelines.stages.finetune",
    "train_weak": "pipelines.stages.weak_labels.stage",
    "import_logmel": "pipelines.stages.weak_labels.import_h5",
    "weak_report": "pipelines.stages.weak_labels.report",
    "weak_figures": "pipelines.stages.weak_labels.figures",
    "score": "pipelines.stages.score",
    "tag": "pipelines.stages.tag.stage",
    "word_labels": "pipelines.stages.tag.word_labels",
    "evaluate": "pipelines.stages.evaluate.stage",
    "import_prototypes": "pipelines.stages.checkpoint.import_published",
    "import_posteriors": "pipelines.stages.checkpoint.import_published",
    "import_published": "pipelines.stages.checkpoint.import_published",
}
