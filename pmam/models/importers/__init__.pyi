from .detect_format import family_of as family_of
from .detect_format import import_published as import_published
from .detect_format import kind_of as kind_of
from .prototypes import import_prototypes as import_prototypes
from .pseudo_labels import parse_pseudo_labels as parse_pseudo_labels
