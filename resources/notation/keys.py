"""Keys and modes as notations name them."""

# fmt: off
MODES = {"": "major", "maj": "major", "ion": "major", "m": "minor", "min": "minor", "aeo": "minor", "dor": "dorian",
         "mix": "mixolydian", "lyd": "lydian", "phr": "phrygian", "loc": "locrian"}
# fmt: on
MAJOR_KEYS = ("Cb", "Gb", "Db", "Ab", "Eb", "Bb", "F", "C", "G", "D", "A", "E", "B", "F#", "C#")  # by fifths, from -7
