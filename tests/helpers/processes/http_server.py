"""A server of the files of a folder, with and without byte ranges, for tests."""

import contextlib
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit


@dataclass
class HttpFiles:
    """What is served, and how badly."""

    folder: Path
    ranges: bool = True
    failures: list[int] = field(default_factory=list)  # statuses of the next answers
    cuts: list[int] = field(default_factory=list)  # after how many bytes the next bodies break
    requests: list[tuple[str, str]] = field(default_factory=list)  # path and Range
    endpoint: str = ""

    def url(self, name: str) -> str:
        return f"{self.endpoint}/{name}"

    def whole(self, name: str) -> int:
        """How often a file was asked for without a range."""
        return sum(path == f"/{name}" and not asked for path, asked in self.requests)


@contextlib.contextmanager
def http_files(folder: Path) -> Iterator[HttpFiles]:
    """Serve a folder on a port of its own."""
    files = HttpFiles(folder)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers.get("Range", "")
            path = urlsplit(self.path).path
            files.requests.append((path, asked))
            if files.failures:
                self.send_error(files.failures.pop(0))
                return
            file = files.folder / unquote(path).lstrip("/")
            if not file.is_file():
                self.send_error(404)
                return
            data = file.read_bytes()
            etag = f'"{file.stat().st_mtime_ns}"'
            span = re.fullmatch(r"bytes=(\d+)-(\d*)", asked) if files.ranges else None
            if span:
                first = int(span[1])
                last = min(int(span[2] or len(data)), len(data) - 1)
                if first > last:
                    self.send_error(416)
                    return
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
                data = data[first : last + 1]
            else:
                self.send_response(200)
            self.send_header("ETag", etag)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            with contextlib.suppress(OSError):  # whoever asked may not want all of it
                self.wfile.write(data[: files.cuts.pop(0)] if files.cuts else data)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        files.endpoint = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield files
        finally:
            server.shutdown()
