"""A second version that scores the same rows after the answer has left."""
