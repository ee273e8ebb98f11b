"""Where stages write in a cache: folders named by all that their work depends on."""

import json
from dataclasses import asdict, dataclass, is_dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from low_label import controls

from pipelines.runtime.files.run_folder import Place
from pipelines.stages import embed, finetune, label, pretrain
from pipelines.stages.fit import stage as fit
from pipelines.stages.reindex import edit
from pipelines.stages.soundscapes import stage as soundscapes

VERSIONS = {
    "soundscapes": soundscapes.ALGORITHM_VERSION,
    "dataset": edit.ALGORITHM_VERSION,
    "embed": embed.ALGORITHM_VERSION,
    "fit": fit.ALGORITHM_VERSION,
    "label": label.ALGORITHM_VERSION,
    "pretrain": pretrain.ALGORITHM_VERSION,
    "finetune": finetune.ALGORITHM_VERSION,
    "shuffled": controls.ALGORITHM_VERSION,
    "centred": controls.ALGORITHM_VERSION,
}


@dataclass(frozen=True)
class Places:
    """The folders of stages in a cache; a stage in a folder of its name is done once."""

    folder: Path

    def at(self, kind: str, *parts: Any) -> Place:
        """The place of a stage: its kind, settings, and the URLs of what it reads."""
        name = f"{kind}-{self._key(VERSIONS[kind], *parts)}"
        return Place(out=str(self.folder.resolve() / name), name=kind)

    def tables(self, files: dict[str, str]) -> dict[str, str]:
        """Label tables written to the cache, by name; their paths, by name."""
        folder = self.folder.resolve() / f"tables-{self._key(files)}"
        folder.mkdir(parents=True, exist_ok=True)
        paths = {name: folder / f"{name}.csv" for name in files}
        for name, path in paths.items():
            if not path.exists():
                temporary = path.with_suffix(".part")
                temporary.write_text(files[name])
                temporary.replace(path)
        return {name: str(path) for name, path in paths.items()}

    def file(self, kind: str, *parts: Any) -> Path:
        """The file of a result."""
        return self.folder.resolve() / f"{kind}-{self._key(*parts)}.json"

    def _key(self, *parts: Any) -> str:
        values = [asdict(part) if is_dataclass(part) else part for part in parts]
        # Without the folder's own name: a cache may be moved.
        text = json.dumps(values, sort_keys=True).replace(f"{self.folder.resolve()}/", "")
        return sha256(text.encode()).hexdigest()[:20]
