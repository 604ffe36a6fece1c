"""Train, gate, promote and serve a card-fraud model with MLflow and LightGBM."""
