"""What lies where two recordings were joined, or where something got between them."""

import pytest
from sound_files import encoded, id3_tag, noise, ogg_pages

from shards.audio.decoding import AudioError, decode

MP3 = {rate_hz: encoded(noise(1.0, rate_hz), rate_hz, "MP3") for rate_hz in (22_050, 44_100)}


@pytest.mark.parametrize("between", [b"", id3_tag(300)])
@pytest.mark.parametrize(("first", "second"), [(22_050, 44_100), (44_100, 22_050)])
def test_mp3s_of_two_rates_are_no_damage(first: int, second: int, between: bytes) -> None:
    byte = len(MP3[first]) + len(between)
    said = f"x.mp3: joined of recordings with {first} Hz .MPEG layer 3. and, from byte {byte} on, "
    with pytest.raises(AudioError, match=f"{said}{second} Hz .*split it there"):
        decode(MP3[first] + between + MP3[second], "x.mp3")


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
@pytest.mark.parametrize("junk", [bytes(range(1, 201)), bytes(200)])
def test_junk_between_whole_ogg_pages_is_not_called_truncated(subtype: str, junk: bytes) -> None:
    data = encoded(noise(6.0, 48_000), 48_000, "OGG", subtype)
    pages = ogg_pages(data)
    before = b"".join(pages[:4])
    with pytest.raises(AudioError) as error:
        decode(before + junk + b"".join(pages[4:]), "x")
    assert f"at byte {len(before)} (200 bytes between Ogg pages that are none)" in str(error.value)
    for behind, said in ((junk[:3], "3 bytes behind"), (pages[-1][:20], "is not whole")):
        with pytest.raises(AudioError, match=said):
            decode(data + behind, "x")
