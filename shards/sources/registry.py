"""All kinds of sources: one function each, and one line each below."""

from collections.abc import Mapping

from shards.sources._tables import Source
from shards.sources.audioset_strong import audioset_strong
from shards.sources.desed import desed
from shards.sources.esc50 import esc50
from shards.sources.fsdkaggle2018 import fsdkaggle2018
from shards.sources.mtl import mtl
from shards.sources.own_folder.layout import folder
from shards.sources.realdesed import realdesed
from shards.sources.tau_urban import tau_urban
from shards.sources.tut_rare import tut_rare
from shards.sources.urbansound8k import urbansound8k
from shards.sources.webdataset import webdataset

SOURCES: Mapping[str, Source] = {
    "folder": folder,
    "desed": desed,
    "audioset_strong": audioset_strong,
    "tut_rare": tut_rare,
    "tau_urban": tau_urban,
    "esc50": esc50,
    "urbansound8k": urbansound8k,
    "fsdkaggle2018": fsdkaggle2018,
    "realdesed": realdesed,
    "mtl": mtl,
    "webdataset": webdataset,
}
