"""The detector that MLflow serves, and what lies in a version's directory."""
