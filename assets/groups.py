"""Groups: which tables the UI shows together. A table that no group names is in the group of its layer."""

from collections.abc import Mapping

GROUPS: Mapping[str, tuple[str, ...]] = {
    "imports": (
        "events/imports",
        "events/quarantine",
        "events/raw_app_events",
        "events/raw_deletions",
        "events/raw_feedback",
        "events/raw_listens",
        "events/raw_posts",
        "events/raw_relationships",
        "events/raw_shares",
        "events/raw_tag_assignments",
    ),
    "listening": (
        "derived/artist_plays",
        "derived/display_names",
        "derived/recording_plays",
        "events/daily_listening",
        "events/duplicate_listens",
        "events/listens",
        "events/sessions",
    ),
    "charts": (
        "derived/charts_all_time",
        "derived/charts_daily",
        "derived/charts_monthly",
        "derived/charts_weekly",
        "derived/charts_yearly",
    ),
    "audience": ("events/active_listeners", "events/retention", "events/streaks"),
    "matching": ("content/blocking_keys", "content/match_keys", "content/mbid_redirects", "events/recording_matches"),
    "catalog": (
        "content/artists",
        "content/credits",
        "content/genres",
        "content/playlists",
        "content/recordings",
        "content/release_groups",
        "content/releases",
    ),
    "lyrics": ("content/lyrics", "content/lyrics_lines", "derived/lyrics_word_counts"),
    "audio": ("content/audio_analyses", "content/audio_features", "content/audio_files"),
    "social": ("events/follows", "events/friendships", "events/posts", "events/shares", "events/tag_assignments"),
    "app": ("events/app_event_schema", "events/app_events", "events/daily_app_usage"),
}
GROUP_OF: Mapping[str, str] = {table: group for group, tables in GROUPS.items() for table in tables}
