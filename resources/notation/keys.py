"""Names of keys and modes in music notation."""

# fmt: off
MODES = {"": "major", "maj": "major", "ion": "major", "m": "minor", "min": "minor", "aeo": "minor", "dor": "dorian",
         "mix": "mixolydian", "lyd": "lydian", "phr": "phrygian", "loc": "locrian"}
# fmt: on
# In the order of the circle of fifths, from -7.
MAJOR_KEYS = ("Cb", "Gb", "Db", "Ab", "Eb", "Bb", "F", "C", "G", "D", "A", "E", "B", "F#", "C#")
