"""Picks up the version that now stands where the served one stood, while the server answers."""
