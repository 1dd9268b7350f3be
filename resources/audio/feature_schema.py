"""Declaration: which features there are, with meaning and unit, so that a table can be declared from them.

It stands apart from how they are computed: who declares a table needs none of the libraries for that.
"""

from dataclasses import dataclass, field

VERSION = 2
"""To be raised whenever the same file would give other features."""


def _told(says: str, unit: str | None = None) -> dict[str, str | None]:
    return {"says": says, "unit": unit}


@dataclass(frozen=True, slots=True)
class Features:
    """What a recording sounds like. `metadata` of each field: what it `says`, and in which `unit` (None: no unit)."""

    duration_s: float = field(metadata=_told("Length of what could be decoded", "s"))
    tempo_bpm: float | None = field(metadata=_told("Tempo; null where there is no beat", "beats per minute"))
    tempo_confidence: float = field(metadata=_told("How clear the beat is, 0 to 1"))
    beats: list[float] = field(metadata=_told("When the beats fall", "s"))
    key: str | None = field(
        metadata=_told("Tonic: C, C#, D, D#, E, F, F#, G, G#, A, A#, B; null where there is nothing to go by")
    )
    mode: str | None = field(metadata=_told("major or minor; null where there is no key"))
    key_confidence: float = field(metadata=_told("How far the key is ahead of the next likely, 0 to 1"))
    loudness_lufs: float | None = field(
        metadata=_told("Integrated loudness by EBU R 128; null below its absolute gate", "LUFS")
    )
    loudness_range_lu: float | None = field(
        metadata=_told("Loudness range by EBU Tech 3342; null where there is too little", "LU")
    )
    peak_dbfs: float = field(metadata=_told("Largest sample", "dBFS"))
    danceability: float | None = field(
        metadata=_told("Detrended fluctuation analysis, 0 to about 3 in music; null below a second")
    )
    energy: float = field(metadata=_told("How loud, busy and bright, 0 to 1"))
    onset_rate: float = field(metadata=_told("Notes and strokes that begin", "per second"))
    rms_mean: float = field(metadata=_told("Level of short frames, mean", "of full scale"))
    rms_std: float = field(metadata=_told("Level of short frames, deviation", "of full scale"))
    zero_crossing_rate_mean: float = field(metadata=_told("Sign changes, mean", "per sample"))
    zero_crossing_rate_std: float = field(metadata=_told("Sign changes, deviation", "per sample"))
    spectral_centroid_mean: float = field(metadata=_told("Centre of the spectrum, mean", "Hz"))
    spectral_centroid_std: float = field(metadata=_told("Centre of the spectrum, deviation", "Hz"))
    spectral_bandwidth_mean: float = field(metadata=_told("Spread of the spectrum around its center, mean", "Hz"))
    spectral_bandwidth_std: float = field(metadata=_told("Spread of the spectrum around its center, deviation", "Hz"))
    spectral_rolloff_mean: float = field(metadata=_told("Below this lies 85 % of the spectrum, mean", "Hz"))
    spectral_rolloff_std: float = field(metadata=_told("Below this lies 85 % of the spectrum, deviation", "Hz"))
    spectral_flatness_mean: float = field(metadata=_told("From a tone, 0, to noise, 1, mean"))
    spectral_flatness_std: float = field(metadata=_told("From a tone, 0, to noise, 1, deviation"))
    spectral_contrast_mean: list[float] = field(
        metadata=_told("Peaks above valleys in seven bands from low to high, mean", "dB")
    )
    spectral_contrast_std: list[float] = field(
        metadata=_told("Peaks above valleys in seven bands from low to high, deviation", "dB")
    )
    mfcc_mean: list[float] = field(metadata=_told("Timbre: 20 mel-frequency cepstral coefficients, mean", "dB"))
    mfcc_std: list[float] = field(metadata=_told("Timbre: 20 mel-frequency cepstral coefficients, deviation", "dB"))
    chroma_mean: list[float] = field(metadata=_told("Share of each pitch class from C to B in the strongest, mean"))
    chroma_std: list[float] = field(metadata=_told("Share of each pitch class from C to B in the strongest, deviation"))
    waveform: list[float] = field(metadata=_told("Peaks of 200 stretches of equal length, for a plot", "of full scale"))
    note: str | None = field(metadata=_told("What is wrong with a file that could be read all the same; null: nothing"))
