"""Train, gate, promote and serve a card-fraud model with MLflow and LightGBM."""

__version__ = "0.2.0"
