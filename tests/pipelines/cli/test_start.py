"""What a command does not use does not load: it would keep whoever waits."""

import json
import subprocess
import sys
from pathlib import Path

import soundfile
from detect_cases import noise

# Each takes from a tenth to two thirds of the time of torch itself.
HEAVY = {"matplotlib", "pandas", "pyarrow.dataset", "ray", "scipy.optimize", "scipy.signal"}
HEAVY |= {"scipy.stats", "tensorboard", "torch._dynamo", "torch._inductor", "yaml"}
CODE = """
import json, sys
from pipelines.cli.main import main
main(json.loads(sys.argv[1]))
print(json.dumps(sorted(set(json.loads(sys.argv[2])) & set(sys.modules))))
"""


def loaded_by(command: list[str]) -> list[str]:
    ended = subprocess.run(
        [sys.executable, "-c", CODE, json.dumps(command), json.dumps(sorted(HEAVY))],
        capture_output=True,
        text=True,
        check=True,
    )
    found: list[str] = json.loads(ended.stdout.splitlines()[-1])
    return found


def test_detect_loads_what_it_uses(checkpoint: str, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", noise(1, seed=3), 32000)
    command = ["detect", str(tmp_path / "a.wav"), "--checkpoint", f"{checkpoint}.safetensors"]
    assert loaded_by(command) == []


def test_convert_loads_what_it_uses(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("filename\tonset\toffset\tevent_label\na.wav\t0\t1\tdog\n")
    command = ["convert", str(tmp_path / "a.tsv"), str(tmp_path / "b.txt"), "--format", "audacity"]
    assert loaded_by(command) == []
    assert (tmp_path / "b.txt").exists()


def test_pack_looks_at_its_source_before_ray_starts(tmp_path: Path) -> None:
    (tmp_path / "strong").mkdir()
    soundfile.write(tmp_path / "strong" / "a.wav", noise(1, seed=3), 32000)
    (tmp_path / "strong.tsv").write_text("filename\tonset\toffset\tevent_label\nb.wav\t0\t1\tdog\n")
    code = CODE.replace("main(json", "\ntry:\n    main(json").replace(
        "print", "except SystemExit as end:\n    assert end.code == 2\nprint"
    )
    command = ["pack", str(tmp_path), str(tmp_path / "out")]
    ended = subprocess.run(
        [sys.executable, "-c", code, json.dumps(command), json.dumps(["ray"])],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "b.wav" in ended.stderr
    assert json.loads(ended.stdout.splitlines()[-1]) == []
