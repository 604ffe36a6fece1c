"""The shadow: a second version that scores the same rows after the answer is sent."""
