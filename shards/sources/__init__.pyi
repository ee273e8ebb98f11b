from ._tables import Options as Options
from ._tables import Source as Source
from ._tables import SourceError as SourceError
from ._tables import SourceListing as SourceListing
from .registry import SOURCES as SOURCES
