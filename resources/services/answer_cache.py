"""Answers of a service, kept on disk for a while, so that what was asked a moment ago is not asked again.

What belongs here is the keeping; what may be kept, the client knows that asks: never an error. Files are written under
another name and renamed, so that a killed process or two at once leave no half of one; a file that cannot be read is
none. The library keeps as many answers as it is told and removes what has expired first, then the oldest.
"""

import json
import time
from pathlib import Path
from typing import Any

from cachelib.file import FileSystemCache
from cachelib.serializers import JSONSerializer

LONGEST = 1 << 16  # characters of an answer: longer ones are few, and are asked for again
MOST = 10_000  # answers: 655 MB at the very most, some 50 as they usually are
WEEK = 7 * 86_400  # seconds
DRAFT = ".__wz_cache"  # ends the name of a file that the library has not finished
LEFT = 3_600  # seconds after which a draft is what a killed process left behind


class _Files(FileSystemCache):
    serializer = JSONSerializer()  # type: ignore[assignment]  # as JSON: what is unpickled could run code


class AnswerCache:
    """Answers in a folder of their own, by a key that tells the question and who was asked."""

    def __init__(self, folder: Path, seconds: int = WEEK, most: int = MOST) -> None:
        """Keep the newest `most` answers for so many seconds each."""
        folder.mkdir(parents=True, exist_ok=True)
        for draft in folder.glob(f"*{DRAFT}"):
            try:
                if time.time() - draft.stat().st_mtime > LEFT:
                    draft.unlink()
            except FileNotFoundError:
                pass  # another process was first
        self._files = _Files(str(folder), threshold=most, default_timeout=seconds)

    def get(self, key: str) -> Any:
        """The answer, or None."""
        return self._files.get(key)

    def keep(self, key: str, answer: Any) -> None:
        """Keep an answer, unless it is longer than most; where the disk refuses, it is not kept."""
        if len(json.dumps(answer)) <= LONGEST:
            self._files.set(key, answer)

    def forget(self, key: str) -> None:
        """Keep an answer no longer."""
        self._files.delete(key)
