"""The track that each user plays now, in memory until it ends."""

from typing import Any

DEFAULT_LENGTH_S = 600  # of a track of unknown length, as in ListenBrainz


class Playing:
    """The track that each user submitted last as playing now."""

    def __init__(self) -> None:
        self._tracks: dict[str, tuple[dict[str, Any], float]] = {}

    def put(self, user: str, listen: dict[str, Any], now: float) -> None:
        """Store the track that a user plays from `now` on, in seconds."""
        info = listen["track_metadata"].get("additional_info", {})
        length = (
            float(info["duration"])
            if "duration" in info
            else float(info.get("duration_ms", DEFAULT_LENGTH_S * 1000)) / 1000
        )
        self._tracks[user] = listen, now + length

    def get(self, user: str, now: float) -> dict[str, Any] | None:
        """Return the track that a user plays, or None if it has ended."""
        listen, until = self._tracks.get(user, (None, 0.0))
        return listen if now < until else None
