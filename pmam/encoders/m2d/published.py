"""The weights of M2D that its authors publish, as TMRL's table lists them.

Their licence is that of M2D's repository. No checksum is published, and none of the files has been
at hand here: the first download tells the sha256 that it got, to be given behind the URL later on.
"""

from pmam.encoders.published import PublishedFile

RELEASES = "https://github.com/nttcslab/m2d/releases/download"


def _file(release: str, name: str) -> PublishedFile:
    return PublishedFile(name=name, url=f"{RELEASES}/{release}/{name}.zip", sha256=None)


# Fine-tuned on AudioSet, with a head of 527 classes.
TAGGERS = (
    _file("v0.3.0", "m2d_clap_vit_base-80x1001p16x16-240128_AS-FT_enconly"),  # mAP 48.5
    _file("v0.3.0", "m2d_as_vit_base-80x1001p16x16-240213_AS-FT_enconly"),  # mAP 48.5
    _file("v0.3.0", "m2d_vit_base-80x1001p16x16-221006-mr7_as_46ab246d"),  # mAP 47.9
)
# Pretrained alone: windows of two seconds at 40 ms a frame, and of six seconds at 160 ms.
FINE_FRAMES = (_file("v0.1.0", "m2d_vit_base-80x200p16x4-230529"),)
PRETRAINED = (
    _file("v0.1.0", "m2d_vit_base-80x608p16x16-221006-mr7"),
    _file("v0.1.0", "m2d_clap_vit_base-80x608p16x16-240128"),
    _file("v0.1.0", "m2d_as_vit_base-80x608p16x16-240213"),
    _file("v0.1.0", "m2d_vit_base-80x608p16x16-221006-mr6"),
    _file("v0.1.0", "m2d_vit_base-80x608p16x16-221006-mr7_enconly"),
    _file("v0.1.0", "m2d_vit_base-80x608p16x16-220930-mr7_enconly"),
)
