"""Whether the pages of an LMDB are what they should be.

The LMDB library trusts its file: a page that was zeroed or overwritten ends the process. So the pages of the tree are
looked at here before the library reads them: the inner ones when the data base is opened, the leaves, which the
library is about to read anyhow, some ahead of it. Values are not looked at; they cannot do such harm.

A page: its number (8 bytes), 2 unused, flags, the ends of its list of nodes and of its free room (2 each), then the
places of its nodes. A node: two halves of the value's size, flags and the key's size (2 each), the key, and the value
or the number of its first overflow page. An inner node: the number of a page in the place of size and flags.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

_BRANCH, _LEAF, _KIND = 1, 2, 15
_BIG = 1  # the value lies in overflow pages
_HEAD, _NODE = 16, 8
_META_BEGIN, _META = 16, np.dtype(
    [("magic", "<u4"), ("version", "<u4"), ("address", "<u8"), ("map_size", "<u8")]
    + [(f"{db}_{name}", size) for db in ("free", "main") for name, size in
       [("pad", "<u4"), ("flags", "<u2"), ("depth", "<u2"), ("branches", "<u8"), ("leaves", "<u8"),
        ("overflows", "<u8"), ("entries", "<u8"), ("root", "<u8")]]
    + [("last_page", "<u8"), ("transaction", "<u8")]
)  # fmt: skip
_DEPTH_AT_MOST = 32
_LEAVES_AT_ONCE = 256


class PageCheck:
    """Looks at the tree of the data base in ``file`` as transaction number ``transaction`` sees it.

    Raises ValueError, which names the page. Of a tree that a writer has replaced meanwhile, or that is none of plain
    keys and values, nothing is looked at.
    """

    def __init__(self, file: Path, page_size: int, transaction: int) -> None:
        self._page_size = page_size
        self._pages = file.stat().st_size // page_size
        self._bytes = np.asarray(np.memmap(file, np.uint8, mode="r", shape=self._pages * page_size))
        self._halves = self._bytes.view("<u2")
        self.records = 0
        """The number of records, from the first one on, whose pages are in order."""
        self._leaves = np.empty(0, np.int64)
        self._looked_at = 0
        metas = [self._bytes[_META_BEGIN + n * page_size :][: _META.itemsize].view(_META)[0] for n in (0, 1)]
        meta = next((meta for meta in metas if meta["transaction"] == transaction), None)
        self.applies = meta is not None and not meta["main_flags"] and 0 < meta["main_depth"] < _DEPTH_AT_MOST
        if meta is not None and self.applies:
            self._leaves = self._find_leaves(int(meta["main_root"]), int(meta["main_depth"]))

    def look_at(self, records: int) -> None:
        """Makes sure of the first ``records`` records."""
        while self.applies and self.records < records:
            leaves = self._leaves[self._looked_at : self._looked_at + _LEAVES_AT_ONCE]
            if not len(leaves):
                raise ValueError(f"its pages hold {self.records} records")
            nodes, owner = self._nodes(leaves, _LEAF)
            self._check_values(nodes, owner)
            self._looked_at += len(leaves)
            self.records += len(nodes)

    def _find_leaves(self, root: int, depth: int) -> np.ndarray:
        """The numbers of the leaf pages in the order of their keys."""
        pages = np.array([root])
        for _ in range(depth - 1):
            nodes, _ = self._nodes(pages, _BRANCH)
            pages = self._half(nodes) | self._half(nodes + 2) << 16 | self._half(nodes + 4) << 32
        return pages

    def _nodes(self, pages: np.ndarray, kind: int) -> tuple[np.ndarray, np.ndarray]:
        """Where the nodes of the pages begin in the file, and the page of each."""
        self._refuse(pages, (pages < 2) | (pages >= self._pages))
        start = pages * self._page_size
        lower, upper = self._half(start + 12), self._half(start + 14)
        self._refuse(pages, self._page_number(start) != pages)
        self._refuse(pages, self._half(start + 10) & _KIND != kind)
        self._refuse(pages, (lower <= _HEAD) | (lower > upper) | (upper > self._page_size) | (lower % 2 > 0))
        counts = (lower - _HEAD) // 2
        owner = np.repeat(np.arange(len(pages)), counts)
        index = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
        places = self._half(start[owner] + _HEAD + 2 * index)
        self._refuse(pages[owner], (places < upper[owner]) | (places > self._page_size - _NODE) | (places % 2 > 0))
        return start[owner] + places, pages[owner]

    def _check_values(self, nodes: np.ndarray, owner: np.ndarray) -> None:
        """Keys and values end within their page, or within the file."""
        size = self._half(nodes) | self._half(nodes + 2) << 16
        flags, after_key = self._half(nodes + 4), nodes + _NODE + self._half(nodes + 6)
        big = flags == _BIG
        self._refuse(owner, (flags != 0) & ~big)
        self._refuse(owner, after_key + np.where(big, 8, size) > (owner + 1) * self._page_size)
        first = self._page_number(after_key[big])
        beyond = first + -(-(_HEAD + size[big]) // self._page_size)
        self._refuse(owner[big], (first < 2) | (beyond > self._pages))

    def _half(self, places: np.ndarray) -> np.ndarray:
        """The whole numbers of 2 bytes at even places of the file."""
        return self._halves[places >> 1].astype(np.int64)

    def _page_number(self, places: np.ndarray) -> np.ndarray:
        """The whole numbers of 8 bytes at any places of the file."""
        return self._bytes[places[:, None] + np.arange(8)].view("<i8")[:, 0]

    @staticmethod
    def _refuse(pages: np.ndarray, wrong: np.ndarray) -> None:
        if wrong.any():
            raise ValueError(f"its page {int(pages[wrong][0])} holds something else than it should")
