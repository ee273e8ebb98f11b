"""Where clips come from: one function per kind of source, and one line each below."""

from collections.abc import Mapping

from shards.sources.esc50 import esc50
from shards.sources.folder import folder
from shards.sources.tables import Options, Source, SourceError, SourceListing
from shards.sources.tut_rare import tut_rare

__all__ = ["SOURCES", "Options", "Source", "SourceError", "SourceListing"]

SOURCES: Mapping[str, Source] = {
    "folder": folder,
    "esc50": esc50,
    "tut_rare": tut_rare,
}
