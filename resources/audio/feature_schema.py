"""Feature schema: the audio features with their description and unit, from which a table can be declared.

The module imports no audio library, so that declaring the table stays cheap.
"""

from dataclasses import dataclass, field

VERSION = 2
"""Raise this when a change makes the same file give different features."""


def _about(description: str, unit: str | None = None) -> dict[str, str | None]:
    return {"description": description, "unit": unit}


@dataclass(frozen=True, slots=True)
class Features:
    """Features of a recording. The `metadata` of each field has its `description` and `unit` (None if it has none)."""

    duration_s: float = field(metadata=_about("Duration of the decoded audio", "s"))
    tempo_bpm: float | None = field(metadata=_about("Tempo; null if there is no beat", "beats per minute"))
    tempo_confidence: float = field(metadata=_about("Clarity of the beat, 0 to 1"))
    beats: list[float] = field(metadata=_about("Times of the beats", "s"))
    key: str | None = field(
        metadata=_about("Tonic: C, C#, D, D#, E, F, F#, G, G#, A, A#, B; null if no key is detectable")
    )
    mode: str | None = field(metadata=_about("Mode: major or minor; null if there is no key"))
    key_confidence: float = field(metadata=_about("Lead of the key over the second most likely, 0 to 1"))
    loudness_lufs: float | None = field(
        metadata=_about("Integrated loudness by EBU R 128; null below its absolute gate", "LUFS")
    )
    loudness_range_lu: float | None = field(
        metadata=_about("Loudness range by EBU Tech 3342; null below 3 s above the gate", "LU")
    )
    peak_dbfs: float = field(metadata=_about("Largest absolute sample", "dBFS"))
    danceability: float | None = field(
        metadata=_about("Danceability by detrended fluctuation analysis, 0 to about 3; null below a second")
    )
    energy: float = field(metadata=_about("Energy: mean of loudness, onset rate and brightness, each 0 to 1"))
    onset_rate: float = field(metadata=_about("Note and drum onsets", "per second"))
    rms_mean: float = field(metadata=_about("Root mean square level of short frames, mean", "of full scale"))
    rms_std: float = field(
        metadata=_about("Root mean square level of short frames, standard deviation", "of full scale")
    )
    zero_crossing_rate_mean: float = field(metadata=_about("Sign changes, mean", "per sample"))
    zero_crossing_rate_std: float = field(metadata=_about("Sign changes, standard deviation", "per sample"))
    spectral_centroid_mean: float = field(metadata=_about("Center of the spectrum, mean", "Hz"))
    spectral_centroid_std: float = field(metadata=_about("Center of the spectrum, standard deviation", "Hz"))
    spectral_bandwidth_mean: float = field(metadata=_about("Spread of the spectrum around its center, mean", "Hz"))
    spectral_bandwidth_std: float = field(
        metadata=_about("Spread of the spectrum around its center, standard deviation", "Hz")
    )
    spectral_rolloff_mean: float = field(metadata=_about("Frequency below which 85 % of the spectrum is, mean", "Hz"))
    spectral_rolloff_std: float = field(
        metadata=_about("Frequency below which 85 % of the spectrum is, standard deviation", "Hz")
    )
    spectral_flatness_mean: float = field(metadata=_about("Spectral flatness from 0 (tone) to 1 (noise), mean"))
    spectral_flatness_std: float = field(
        metadata=_about("Spectral flatness from 0 (tone) to 1 (noise), standard deviation")
    )
    spectral_contrast_mean: list[float] = field(
        metadata=_about("Peaks over valleys in seven bands from low to high, mean", "dB")
    )
    spectral_contrast_std: list[float] = field(
        metadata=_about("Peaks over valleys in seven bands from low to high, standard deviation", "dB")
    )
    mfcc_mean: list[float] = field(metadata=_about("Timbre: 20 mel-frequency cepstral coefficients, mean", "dB"))
    mfcc_std: list[float] = field(
        metadata=_about("Timbre: 20 mel-frequency cepstral coefficients, standard deviation", "dB")
    )
    chroma_mean: list[float] = field(
        metadata=_about("Strength of each pitch class from C to B, relative to the strongest, mean")
    )
    chroma_std: list[float] = field(
        metadata=_about("Strength of each pitch class from C to B, relative to the strongest, standard deviation")
    )
    waveform: list[float] = field(metadata=_about("Peaks of 200 blocks of equal length, for a plot", "of full scale"))
    note: str | None = field(
        metadata=_about("Problem with the file that did not prevent its analysis; null if there is none")
    )
