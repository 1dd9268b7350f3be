"""What each user plays now: told to nobody but them, kept in memory until the track is over."""

from typing import Any

PATIENCE = 600  # seconds that a track of unknown length counts as playing, as in ListenBrainz


class Playing:
    """The track that each user told of last."""

    def __init__(self) -> None:
        self._tracks: dict[str, tuple[dict[str, Any], float]] = {}

    def put(self, user: str, listen: dict[str, Any], now: float) -> None:
        """A user plays a track from now on."""
        info = listen["track_metadata"].get("additional_info", {})
        length = (
            float(info["duration"]) if "duration" in info else float(info.get("duration_ms", PATIENCE * 1000)) / 1000
        )
        self._tracks[user] = listen, now + length

    def get(self, user: str, now: float) -> dict[str, Any] | None:
        """The track a user plays, if it is not over."""
        listen, until = self._tracks.get(user, (None, 0.0))
        return listen if now < until else None
