"""The serving image of a version, and where it goes."""
