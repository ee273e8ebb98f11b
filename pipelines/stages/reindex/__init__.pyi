from .edit import reindex_filter as reindex_filter
from .edit import reindex_labels as reindex_labels
from .edit import reindex_merge as reindex_merge
from .foreign import reindex_foreign as reindex_foreign
