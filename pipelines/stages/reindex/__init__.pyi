from pipelines.stages.reindex.edit import reindex_filter as reindex_filter
from pipelines.stages.reindex.edit import reindex_labels as reindex_labels
from pipelines.stages.reindex.edit import reindex_merge as reindex_merge
from pipelines.stages.reindex.foreign import reindex_foreign as reindex_foreign
