"""A file of each annotation format, typed by hand after its public documentation.

Each has a dog from 0.5 s to 1.25 s and, where the format can hold it, what `EXPECTED` says beside.
"""

from shards.annotations.event import SoundEvent

EXAMPLES: dict[str, str] = {
    "tsv": "filename\tonset\toffset\tevent_label\na.wav\t0.5\t1.25\tdog\nb.wav\t\t\t\n",
    "csv": "filename,onset,offset,event_label,score,season\na.wav,0.500,1.250,dog,0.75,spring\n",
    "json": (
        '[\n  {"filename": "a.wav", "onset": 0.5, "offset": 1.25, "event_label": "dog", '
        '"score": 0.75},\n'
        '  {"filename": "b.wav", "onset": null, "offset": null, "event_label": null}\n]\n'
    ),
    "jsonl": (
        '{"filename": "a.wav", "onset": 0.5, "offset": 1.25, "event_label": "dog"}\n\n'
        '{"filename": "b.wav", "onset": null, "offset": null, "event_label": null}\n'
    ),
    "audacity": "0.500000\t1.250000\tdog\n\\\t300.000000\t2000.000000\n",
    "raven": (
        "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)\t"
        "Delta Time (s)\tAnnotation\n"
        "1\tWaveform 1\t1\t0.500000000\t1.250000000\t0.0\t22050.0\t0.75\tdog\n"
        "1\tSpectrogram 1\t1\t0.500000000\t1.250000000\t300.0\t2000.0\t0.75\tdog\n"
    ),
    "textgrid": '''File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0 
xmax = 2 
tiers? <exists> 
size = 2 
item []: 
    item [1]:
        class = "IntervalTier" 
        name = "animals" 
        xmin = 0 
        xmax = 2 
        intervals: size = 3 
        intervals [1]:
            xmin = 0 
            xmax = 0.5 
            text = "" 
        intervals [2]:
            xmin = 0.5 
            xmax = 1.25 
            text = "dog" 
        intervals [3]:
            xmin = 1.25 
            xmax = 2 
            text = "" 
    item [2]:
        class = "TextTier" 
        name = "clicks" 
        xmin = 0 
        xmax = 2 
        points: size = 1 
        points [1]:
            number = 1.5 
            mark = "say ""tick""" 
''',
    "textgrid-short": """File type = "ooTextFile short"
"TextGrid"

0
2
<exists>
1
"IntervalTier"
"animals"
0
2
3
0
0.5
""
0.5
1.25
"dog"
1.25
2
""
""",
    "eaf": """<?xml version="1.0" encoding="UTF-8"?>
<ANNOTATION_DOCUMENT AUTHOR="" DATE="2020-05-04T10:00:00+01:00" FORMAT="3.0" VERSION="3.0"
    xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
    xsi:noNamespaceSchemaLocation="http://www.mpi.nl/tools/elan/EAFv3.0.xsd">
    <HEADER MEDIA_FILE="" TIME_UNITS="milliseconds">
        <MEDIA_DESCRIPTOR MEDIA_URL="file:///C:/my%20sounds/a.wav" MIME_TYPE="audio/x-wav"
            RELATIVE_MEDIA_URL="./a.wav"/>
        <PROPERTY NAME="lastUsedAnnotationId">2</PROPERTY>
    </HEADER>
    <TIME_ORDER>
        <TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="500"/>
        <TIME_SLOT TIME_SLOT_ID="ts2"/>
        <TIME_SLOT TIME_SLOT_ID="ts3" TIME_VALUE="2000"/>
    </TIME_ORDER>
    <TIER LINGUISTIC_TYPE_REF="default-lt" TIER_ID="animals" ANNOTATOR="Kim">
        <ANNOTATION>
            <ALIGNABLE_ANNOTATION ANNOTATION_ID="a1" TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts2">
                <ANNOTATION_VALUE>dog</ANNOTATION_VALUE>
            </ALIGNABLE_ANNOTATION>
        </ANNOTATION>
    </TIER>
    <TIER LINGUISTIC_TYPE_REF="note" TIER_ID="mood" PARENT_REF="animals">
        <ANNOTATION>
            <REF_ANNOTATION ANNOTATION_ID="a2" ANNOTATION_REF="a1">
                <ANNOTATION_VALUE>angry</ANNOTATION_VALUE>
            </REF_ANNOTATION>
        </ANNOTATION>
    </TIER>
    <LINGUISTIC_TYPE GRAPHIC_REFERENCES="false" LINGUISTIC_TYPE_ID="default-lt"
        TIME_ALIGNABLE="true"/>
</ANNOTATION_DOCUMENT>
""",
    "svl": """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE sonic-visualiser>
<sv>
  <data>
    <model id="3" name="" sampleRate="8000" start="4000" end="10000" type="sparse" dimensions="2"
      resolution="1" notifyOnAdd="true" dataset="2" subtype="box" units="Hz" />
    <dataset id="2" dimensions="2">
      <point frame="4000" value="300" duration="6000" extent="1700" label="dog" />
    </dataset>
  </data>
  <display>
    <layer id="4" type="boxes" name="Boxes" model="3" />
  </display>
</sv>
""",
    "rttm": (
        ";; made by hand\n"
        "SPKR-INFO a 1 <NA> <NA> <NA> unknown dog <NA> <NA>\n"
        "SPEAKER a 1 0.500 0.750 <NA> <NA> dog 0.75 <NA>\n"
    ),
    "jams": """{
  "annotations": [
    {
      "annotation_metadata": {
        "curator": {"name": "", "email": ""}, "annotator": {"name": "Kim"}, "version": "",
        "corpus": "", "annotation_tools": "", "annotation_rules": "", "validation": "",
        "data_source": ""
      },
      "namespace": "segment_open",
      "data": [{"time": 0.5, "duration": 0.75, "value": "dog", "confidence": 0.75}],
      "sandbox": {}, "time": 0, "duration": 2.0
    }
  ],
  "file_metadata": {
    "title": "", "artist": "", "release": "", "duration": 2.0, "identifiers": {},
    "jams_version": "0.3.4"
  },
  "sandbox": {}
}
""",
    "label-studio": """[
  {"id": 1, "data": {"audio": "/data/upload/2/1a2b3c4d-a.wav"}, "annotations": [
    {"id": 5, "completed_by": 1, "was_cancelled": true, "result": []},
    {"id": 6, "completed_by": 1, "was_cancelled": false, "result": [
      {"original_length": 2.0, "value": {"start": 0.5, "end": 1.25, "channel": 0,
       "labels": ["dog"]}, "id": "aB3_x", "from_name": "label", "to_name": "audio",
       "type": "labels", "origin": "manual", "meta": {"text": ["far away"]}}]}],
   "predictions": []}
]
""",
    "aoef": """{
  "version": "1.1.0", "created_on": "2024-02-01T12:00:00",
  "data": {
    "uuid": "5c4f7e3c-2c1f-4f5d-8f6b-1b1f6a1f0a01", "collection_type": "annotation_set",
    "name": "dogs", "created_on": "2024-02-01T12:00:00",
    "users": [{"uuid": "5c4f7e3c-2c1f-4f5d-8f6b-1b1f6a1f0a09", "name": "Kim"}],
    "tags": [{"id": 0, "key": "species", "value": "dog"}, {"id": 1, "key": "sex", "value": "f"}],
    "recordings": [{"uuid": "5c4f7e3c-2c1f-4f5d-8f6b-1b1f6a1f0a02", "path": "a.wav",
      "duration": 2.0, "channels": 1, "samplerate": 8000}],
    "clips": [{"uuid": "5c4f7e3c-2c1f-4f5d-8f6b-1b1f6a1f0a03",
      "recording": "5c4f7e3c-2c1f-4f5d-8f6b-1b1f6a1f0a02", "start_time": 0.0, "end_time": 2.0}],
    "sound_events": [{"uuid": "5c4f7e3c-2c1f-4f5d-8f6b-1b1f6a1f0a04",
      "recording": "5c4f7e3c-2c1f-4f5d-8f6b-1b1f6a1f0a02",
      "geometry": {"type": "BoundingBox", "coordinates": [0.5, 300.0, 1.25, 2000.0]}}],
    "sound_event_annotations": [{"uuid": "5c4f7e3c-2c1f-4f5d-8f6b-1b1f6a1f0a05",
      "sound_event": "5c4f7e3c-2c1f-4f5d-8f6b-1b1f6a1f0a04", "tags": [0, 1],
      "created_by": "5c4f7e3c-2c1f-4f5d-8f6b-1b1f6a1f0a09"}],
    "clip_annotations": [{"uuid": "5c4f7e3c-2c1f-4f5d-8f6b-1b1f6a1f0a06",
      "clip": "5c4f7e3c-2c1f-4f5d-8f6b-1b1f6a1f0a03",
      "sound_events": ["5c4f7e3c-2c1f-4f5d-8f6b-1b1f6a1f0a05"]}]
  }
}
""",
    "birdnet": (
        "Start (s),End (s),Scientific name,Common name,Confidence,File\n"
        "0.5,1.25,Canis familiaris,dog,0.7500,a.wav\n"
    ),
    "kaleidoscope": (
        "INDIR,FOLDER,IN FILE,CHANNEL,OFFSET,DURATION,Fmin,Fmean,Fmax,DATE,TOP1MATCH*,MANUAL ID\n"
        "C:\\sounds,site\\1,a.wav,0,0.500,0.750,300,900,2000,2020-05-04,cat,dog\n"
    ),
}

_SPAN = {"onset_s": 0.5, "offset_s": 1.25, "label": "dog"}
_BAND = {"low_hz": 300.0, "high_hz": 2000.0}
EXPECTED: dict[str, dict[str, tuple[SoundEvent, ...]]] = {
    "tsv": {"a.wav": (SoundEvent(**_SPAN),), "b.wav": ()},
    "csv": {"a.wav": (SoundEvent(**_SPAN, score=0.75, extra={"season": "spring"}),)},
    "json": {"a.wav": (SoundEvent(**_SPAN, score=0.75),), "b.wav": ()},
    "jsonl": {"a.wav": (SoundEvent(**_SPAN),), "b.wav": ()},
    "audacity": {"AUDIO": (SoundEvent(**_SPAN, **_BAND),)},
    "raven": {
        "AUDIO": (SoundEvent(**_SPAN, **_BAND, channel=1, extra={"Delta Time (s)": "0.75"}),)
    },
    "textgrid": {
        "AUDIO": (
            SoundEvent(**_SPAN, extra={"tier": "animals"}),
            SoundEvent(onset_s=1.5, offset_s=1.5, label='say "tick"', extra={"tier": "clicks"}),
        )
    },
    "textgrid-short": {"AUDIO": (SoundEvent(**_SPAN, extra={"tier": "animals"}),)},
    "eaf": {
        "a.wav": (SoundEvent(**_SPAN, annotator="Kim", extra={"tier": "animals", "mood": "angry"}),)
    },
    "svl": {"AUDIO": (SoundEvent(**_SPAN, **_BAND),)},
    "rttm": {"a": (SoundEvent(**_SPAN, channel=1, score=0.75),)},
    "jams": {"AUDIO": (SoundEvent(**_SPAN, score=0.75, annotator="Kim"),)},
    "label-studio": {"a.wav": (SoundEvent(**_SPAN, channel=1, notes="far away"),)},
    "aoef": {"a.wav": (SoundEvent(**_SPAN, **_BAND, annotator="Kim", extra={"sex": "f"}),)},
    "birdnet": {
        "a.wav": (SoundEvent(**_SPAN, score=0.75, extra={"Scientific name": "Canis familiaris"}),)
    },
    "kaleidoscope": {
        "site/1/a.wav": (
            SoundEvent(
                **_SPAN,
                **_BAND,
                channel=1,
                extra={"Fmean": "900", "DATE": "2020-05-04", "TOP1MATCH*": "cat"},
            ),
        )
    },
}
