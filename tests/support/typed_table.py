"""Card payments as an upstream system writes them: text, dates, booleans and gaps.

Simulated. A payment is likely a fraud at night, at some merchants, abroad, with a large amount, and
where the device is unknown; a merchant that is risky at night is not so by day.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from fraud_model.registry.export import export
from fraud_model.registry.moves import move
from fraud_model.tracking import open_run
from fraud_model.training.config import Hyperparameters, TrainingConfig
from fraud_model.training.pipeline import train

TARGET, TIME, AMOUNT, FRAUD = "label", "paid_at", "amount", "chargeback"
MERCHANTS = 60
COUNTRIES = ("DE", "FR", "IT", "NL", "US")
CHANNELS = ("chip", "contactless", "online")
MCCS = (5411, 5812, 5999, 7995)
# What `-P columns=` says about this table: merchant category codes are names, not numbers.
OVERRIDES = {"mcc": "category"}


def typed_table(rows: int = 6_000, seed: int = 3) -> pd.DataFrame:
    """Payments in order of time, of which about a tenth are frauds.

    `payment_id` is an identifier and `currency` a constant. `home` and `device_age` have gaps, and
    `born` is a second date.
    """
    rng = np.random.default_rng(seed)
    times = pd.date_range("2024-01-01", periods=rows, freq="7min")
    popularity = 1 / np.arange(2, MERCHANTS + 2)
    merchant = rng.choice(MERCHANTS, rows, p=popularity / popularity.sum())
    country = rng.choice(COUNTRIES, rows, p=[0.5, 0.2, 0.1, 0.1, 0.1])
    amount = np.round(rng.lognormal(3.5, 1.0, rows), 2)
    mcc = rng.choice(MCCS, rows, p=[0.4, 0.3, 0.2, 0.1])
    channel = rng.choice(CHANNELS, rows)
    device_age = np.where(rng.random(rows) < 0.15, np.nan, rng.exponential(200, rows).round(1))
    night = np.asarray(times.hour < 6)
    log_odds = (
        2.5 * (night ^ (merchant % 5 == 0))
        + 1.5 * (country == "US")
        + 0.8 * (np.log(amount) - 3.5)
        + 1.2 * np.isnan(device_age)
        + 1.0 * (mcc == MCCS[-1])
        + 0.7 * (channel == "online")
        + rng.logistic(0, 0.7, rows)
    )
    fraud = log_odds > np.quantile(log_odds, 0.9)
    born = pd.Timestamp("1950-01-01") + pd.to_timedelta(rng.integers(0, 18_000, rows), unit="D")
    return pd.DataFrame(
        {
            "payment_id": [f"p{number:08d}x" for number in range(rows)],
            TIME: times,
            "merchant": [f"merchant {number}" for number in merchant],
            AMOUNT: amount,
            "limit": [f"${value:,.2f}" for value in rng.lognormal(7, 1, rows)],
            "country": country,
            "home": np.where(rng.random(rows) < 0.2, np.array(None), rng.choice(COUNTRIES, rows)),
            "channel": channel,
            "mcc": mcc,
            "recurring": rng.random(rows) < 0.2,
            "verified": rng.choice(["yes", "no"], rows),
            "device_age": device_age,
            "born": born.strftime("%d/%m/%Y"),
            "currency": "EUR",
            TARGET: np.where(fraud, FRAUD, "ok"),
        }
    )


def write_typed_table(folder: Path, rows: int = 6_000) -> Path:
    """The table as a Parquet file in `folder`, with the overrides beside it in `columns.yaml`."""
    return _write(typed_table(rows), folder)


def export_typed(table: pd.DataFrame, name: str, folder: Path) -> Path:
    """Trains a small model of a table in the active store; the directory it is exported to."""
    data = _write(table, folder)
    config = TrainingConfig(
        data=str(data),
        target=TARGET,
        time_column=TIME,
        amount_column=AMOUNT,
        fraud=FRAUD,
        columns=str(folder / "columns.yaml"),
        model_name=name,
        hyperparameters=Hyperparameters(rounds=60),
    )
    with open_run("train"):
        train(config)
    move(name, "1", "Production")
    export(name, "Production", folder / "model")
    return folder / "model"


def _write(table: pd.DataFrame, folder: Path) -> Path:

    path = folder / "payments.parquet"
    table.to_parquet(path, index=False)
    overrides = {name: {"kind": kind} for name, kind in OVERRIDES.items()}
    (folder / "columns.yaml").write_text(yaml.safe_dump({"columns": overrides}))
    return path
