"""Clips in a given order, read by byte ranges of neighbours ahead of their use."""

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

from isal import isal_zlib

from shards.dataset import Dataset, ReadError
from shards.errors import SettingsError
from shards.io.disk_cache import ClipCache
from shards.io.range_reader import Request, Wanted, coalesce

Data = bytes | memoryview


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How clips are read.

    A reader holds `budget_bytes` of audio files at most, or two clips where these are larger.
    It reads the first half in the order of their places in the shards, gives them out in the
    order asked for, and reads the second half meanwhile.
    """

    budget_bytes: int = 48 << 20
    threads: int = 4  # requests at a time
    gap_bytes: int = 16 << 10  # between neighbours that are read at once: their JSON and headers
    request_bytes: int = 8 << 20  # at most, but for one clip that is larger
    verify: bool = True  # compare every clip with its checksum

    def __post_init__(self) -> None:
        if min(self.budget_bytes, self.threads, self.request_bytes) < 1 or self.gap_bytes < 0:
            raise SettingsError(f"got {self}; expected a budget, threads and requests above 0")


class ClipReader:
    """Reads clips of a dataset ahead of their use.

    Args:
        dataset: where they are.
        settings: limits.
        cache: where clips are kept between epochs.
    """

    def __init__(
        self, dataset: Dataset, settings: Reading | None = None, cache: ClipCache | None = None
    ) -> None:
        self.dataset, self.settings, self.cache = dataset, settings or Reading(), cache

    def read(self, indices: Iterable[int]) -> Generator[tuple[int, Data | ReadError], None, None]:
        """`(index, its audio file)` for each row asked for, in that order.

        A clip that cannot be read comes as the error: whether that ends the work is for the
        caller to say.
        """
        pool = ThreadPoolExecutor(self.settings.threads)
        chunks = self._chunks(iter(indices))
        try:
            waiting = deque(self._start(pool, chunk) for chunk in _first(chunks, 2))
            while waiting:
                chunk = waiting[0]
                for slot in range(len(chunk)):
                    index, future = chunk[slot]
                    data = future.result().pop(slot)
                    del future
                    chunk[slot] = (index, _DONE)  # its bytes are free once the caller drops them
                    yield index, data
                    del data
                waiting.popleft()
                waiting.extend(self._start(pool, chunk) for chunk in _first(chunks, 1))
        finally:
            # Without waiting: the garbage collector may end an abandoned reader inside a thread
            # that is just starting and holds locks of `threading`, which a join would need.
            pool.shutdown(wait=False, cancel_futures=True)

    def _chunks(self, indices: Iterator[int]) -> Iterator[list[int]]:
        """Indices whose audio files, with the gaps between them, fill half of the budget."""
        sizes = self.dataset.columns.size
        chunk: list[int] = []
        held = 0
        for index in indices:
            cost = int(sizes[index]) + self.settings.gap_bytes
            if chunk and held + cost > self.settings.budget_bytes // 2:
                yield chunk
                chunk, held = [], 0
            chunk.append(int(index))
            held += cost
        if chunk:
            yield chunk

    def _start(self, pool: ThreadPoolExecutor, chunk: list[int]) -> list[tuple[int, "_Pending"]]:
        columns = self.dataset.columns
        pending: list[_Pending] = [_DONE] * len(chunk)
        wanted = []
        for slot, index in enumerate(chunk):
            if self.cache is not None and columns.checksum(index) in self.cache:
                pending[slot] = pool.submit(self._cached, slot, index)
            else:
                place = (columns.shard(index), int(columns.offset[index]), int(columns.size[index]))
                wanted.append(Wanted(slot, *place))
        for request in coalesce(wanted, self.settings.gap_bytes, self.settings.request_bytes):
            future = pool.submit(self._fetched, request, chunk)
            for part in request.parts:
                pending[part.slot] = future
        return list(zip(chunk, pending, strict=True))

    def _cached(self, slot: int, index: int) -> dict[int, Data | ReadError]:
        assert self.cache is not None
        data = self.cache.get(self.dataset.columns.checksum(index))
        return {slot: self._alone(index) if data is None else data}

    def _fetched(self, request: Request, chunk: list[int]) -> dict[int, Data | ReadError]:
        try:
            data = memoryview(self.dataset.read_range(request.shard, request.offset, request.size))
        except OSError:  # clip by clip: it may be one of them alone
            return {part.slot: self._alone(chunk[part.slot]) for part in request.parts}
        found: dict[int, Data | ReadError] = {}
        for part in request.parts:
            start = part.offset - request.offset
            found[part.slot] = self._checked(data[start : start + part.size], chunk[part.slot])
        return found

    def _checked(self, data: Data, index: int) -> Data | ReadError:
        if not self.settings.verify:
            return data
        if isal_zlib.crc32(data) != self.dataset.columns.crc32[index]:
            return self._alone(index)
        if self.cache is not None:
            self.cache.put(self.dataset.columns.checksum(index), data)
        return data

    def _alone(self, index: int) -> Data | ReadError:
        row = self.dataset.row(index)
        try:
            data = self.dataset.read(row, verify=self.settings.verify)
        except ReadError as error:
            return error
        if self.cache is not None and self.settings.verify:
            self.cache.put(row.checksum, data)
        return data


_Pending = Future[dict[int, Data | ReadError]]
_DONE: _Pending = Future()


def _first(chunks: Iterator[list[int]], count: int) -> list[list[int]]:
    """At most so many of the next ones."""
    return list(islice(chunks, count))
