"""Small invented tables in the shapes of public fraud tables, with their names, kinds and gaps.

Frauds depend on a category, an amount and a time of day or a count, as each table allows, so that a
model has something to learn. No row is anybody's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

ROWS = 3_000


@dataclass(frozen=True)
class Shape:
    """A table, and the parameters that `train` needs for it."""

    name: str
    make: Callable[[np.random.Generator], pd.DataFrame]
    parameters: dict[str, Any]

    def table(self, seed: int = 0) -> pd.DataFrame:
        """The rows; another seed gives other ones of the same kind."""
        return self.make(np.random.default_rng(seed))


def _risk(random: np.random.Generator, share: float, *signs: np.ndarray) -> np.ndarray:
    """True for about `share` of the rows: those with the highest sum of signs and noise."""
    total = sum(2.0 * sign.astype(float) for sign in signs) + random.normal(size=len(signs[0]))
    return np.asarray(total > np.quantile(total, 1 - share))


def _gaps(random: np.random.Generator, values: object, share: float) -> pd.Series:
    column = pd.Series(values, dtype=None)
    return column.mask(random.random(len(column)) < share)


def ieee_cis(random: np.random.Generator) -> pd.DataFrame:
    """IEEE-CIS: ids, seconds from nowhere, many gaps, domains, T and F, device texts."""
    amount = np.round(random.lognormal(4, 1, ROWS), 3)
    product = random.choice(["W", "H", "C", "S", "R"], ROWS)
    domain = random.choice(["gmail.com", "yahoo.com", "hotmail.com", "anonymous.com"], ROWS)
    fraud = _risk(random, 0.06, product == "C", domain == "anonymous.com", amount > 200)
    columns = {
        "TransactionID": 2_987_000 + np.arange(ROWS),
        "isFraud": fraud.astype(int),
        "TransactionDT": np.sort(random.integers(86_400, 15_811_131, ROWS)),
        "TransactionAmt": amount,
        "ProductCD": product,
        "card1": random.integers(1_000, 18_396, ROWS),
        "card4": _gaps(random, random.choice(["visa", "mastercard", "discover"], ROWS), 0.01),
        "addr1": _gaps(random, random.integers(100, 540, ROWS).astype(float), 0.1),
        "P_emaildomain": _gaps(random, domain, 0.15),
        "M1": _gaps(random, random.choice(["T", "F"], ROWS), 0.4),
        "M4": _gaps(random, random.choice(["M0", "M1", "M2"], ROWS), 0.4),
        "D1": _gaps(random, random.integers(0, 640, ROWS).astype(float), 0.05),
        "id_31": _gaps(random, random.choice(["chrome 63.0", "mobile safari 11.0"], ROWS), 0.7),
        "DeviceType": _gaps(random, random.choice(["desktop", "mobile"], ROWS), 0.7),
    }
    return pd.DataFrame(columns | {f"V{i}": random.normal(size=ROWS) for i in range(1, 8)})


def bank_account(random: np.random.Generator) -> pd.DataFrame:
    """Bank Account Fraud: shares, flags as 0 and 1, codes of two letters, months."""
    status = random.choice(["BA", "BB", "BC", "BE"], ROWS)
    similarity, velocity = random.random(ROWS), random.normal(6_000, 2_000, ROWS)
    fraud = _risk(random, 0.05, status == "BC", similarity < 0.2, velocity > 8_000)
    return pd.DataFrame(
        {
            "fraud_bool": fraud.astype(int),
            "income": np.round(random.random(ROWS), 1),
            "name_email_similarity": similarity,
            "prev_address_months_count": random.integers(-1, 300, ROWS),
            "customer_age": random.choice(np.arange(10, 90, 10), ROWS),
            "payment_type": random.choice(["AA", "AB", "AC", "AD"], ROWS),
            "velocity_6h": velocity,
            "employment_status": random.choice(["CA", "CB", "CC"], ROWS),
            "housing_status": status,
            "phone_home_valid": random.integers(0, 2, ROWS),
            "source": random.choice(["INTERNET", "TELEAPP"], ROWS),
            "device_os": random.choice(["linux", "windows", "macintosh", "other"], ROWS),
            "device_fraud_count": np.zeros(ROWS, dtype=int),
            "month": np.sort(random.integers(0, 8, ROWS)),
        }
    )


def sparkov(random: np.random.Generator) -> pd.DataFrame:
    """Sparkov: an index without a name, dates as text, merchants, people, card numbers."""
    start = pd.Timestamp("2020-01-01")
    when = start + pd.to_timedelta(np.sort(random.integers(0, 90 * 86_400, ROWS)), unit="s")
    merchant = np.array(
        [f"fraud_{name} Ltd" for name in ["Kub", "Rau", "Ebert", "Haag", "Veum", "Hane"]]
    )
    shop, amount = random.choice(merchant, ROWS), np.round(random.lognormal(3, 1.2, ROWS), 2)
    fraud = _risk(random, 0.05, shop == merchant[2], when.hour.to_numpy() < 4, amount > 120)
    born = pd.Timestamp("1950-01-01") + pd.to_timedelta(random.integers(0, 18_000, ROWS), unit="D")
    return pd.DataFrame(
        {
            "Unnamed: 0": np.arange(ROWS),
            "trans_date_trans_time": when.strftime("%Y-%m-%d %H:%M:%S"),
            "cc_num": random.choice(random.integers(10**14, 10**16, 300), ROWS),
            "merchant": shop,
            "category": random.choice(["misc_net", "grocery_pos", "gas_transport"], ROWS),
            "amt": amount,
            "first": random.choice(["Ann", "Bob", "Cid", "Dee"], ROWS),
            "gender": random.choice(["F", "M"], ROWS),
            "zip": random.integers(501, 99_950, ROWS),
            "lat": random.uniform(25, 48, ROWS),
            "city_pop": random.integers(23, 2_906_700, ROWS),
            "job": random.choice(["Psychologist, counselling", "Engineer, mining"], ROWS),
            "dob": born.strftime("%Y-%m-%d"),
            "trans_num": [f"{value:032x}" for value in random.integers(0, 2**62, ROWS)],
            "unix_time": (when - pd.Timestamp("1970-01-01")) // pd.Timedelta(seconds=1),
            "is_fraud": fraud.astype(int),
        }
    )


def paysim(random: np.random.Generator) -> pd.DataFrame:
    """PaySim: hours as the time, a type as text, account names, balances."""
    kind = random.choice(["PAYMENT", "TRANSFER", "CASH_OUT", "CASH_IN", "DEBIT"], ROWS)
    amount = np.round(random.lognormal(9, 1.5, ROWS), 2)
    before = np.round(random.lognormal(9, 2, ROWS), 2)
    fraud = _risk(random, 0.04, kind == "TRANSFER", amount > before, amount > 50_000)
    return pd.DataFrame(
        {
            "step": np.sort(random.integers(1, 744, ROWS)),
            "type": kind,
            "amount": amount,
            "nameOrig": [f"C{i:09d}" for i in random.permutation(10**6)[:ROWS]],
            "oldbalanceOrg": before,
            "newbalanceOrig": np.maximum(0, before - amount),
            "nameDest": [f"M{i:09d}" for i in random.permutation(10**6)[:ROWS]],
            "isFraud": fraud.astype(int),
            "isFlaggedFraud": np.zeros(ROWS, dtype=int),
        }
    )


def vehicle_claims(random: np.random.Generator) -> pd.DataFrame:
    """Vehicle claims: nearly all text, ranges of prices as words, numbers of policies."""
    fault, make = (
        random.choice(["Policy Holder", "Third Party"], ROWS),
        random.choice(["Honda", "Toyota", "Ford", "Mazda"], ROWS),
    )
    base = random.choice(["Liability", "Collision", "All Perils"], ROWS)
    fraud = _risk(random, 0.08, fault == "Policy Holder", base == "Collision", make == "Ford")
    return pd.DataFrame(
        {
            "Month": random.choice(["Jan", "Feb", "Dec"], ROWS),
            "WeekOfMonth": random.integers(1, 6, ROWS),
            "DayOfWeek": random.choice(["Monday", "Friday", "Sunday"], ROWS),
            "Make": make,
            "AccidentArea": random.choice(["Urban", "Rural"], ROWS),
            "Sex": random.choice(["Male", "Female"], ROWS),
            "Age": random.integers(16, 80, ROWS),
            "Fault": fault,
            "VehiclePrice": random.choice(["20000 to 29000", "more than 69000"], ROWS),
            "PolicyNumber": np.arange(1, ROWS + 1),
            "Deductible": random.choice([300, 400, 500, 700], ROWS),
            "PoliceReportFiled": random.choice(["No", "Yes"], ROWS),
            "AgentType": np.repeat("External", ROWS),
            "BasePolicy": base,
            "FraudFound_P": fraud.astype(int),
        }
    )


def ecommerce(random: np.random.Generator) -> pd.DataFrame:
    """E-commerce sign-ups: two dates, devices, browsers, addresses as numbers, equal rows."""
    signed = pd.Timestamp("2015-01-01") + pd.to_timedelta(
        random.integers(0, 150 * 86_400, ROWS), unit="s"
    )
    wait = random.integers(1, 100 * 86_400, ROWS)
    source = random.choice(["SEO", "Ads", "Direct"], ROWS)
    fraud = _risk(random, 0.09, wait < 10 * 86_400, source == "Direct", signed.hour.to_numpy() < 3)
    bought = signed + pd.to_timedelta(wait, unit="s")
    return pd.DataFrame(
        {
            "user_id": random.permutation(400_000)[:ROWS],
            "signup_time": signed.strftime("%Y-%m-%d %H:%M:%S"),
            "purchase_time": bought.strftime("%Y-%m-%d %H:%M:%S"),
            "purchase_value": random.integers(9, 154, ROWS),
            "device_id": random.choice([f"D{i:012d}" for i in range(900)], ROWS),
            "source": source,
            "browser": random.choice(["Chrome", "Opera", "Safari", "IE"], ROWS),
            "sex": random.choice(["M", "F"], ROWS),
            "age": random.integers(18, 76, ROWS),
            "ip_address": random.uniform(5e4, 4.2e9, ROWS),
            "class": fraud.astype(int),
        }
    )


def uci_default(random: np.random.Generator) -> pd.DataFrame:
    """UCI default: codes as whole numbers, a long name of the target, some cells empty."""
    paid, limit = random.integers(-2, 9, ROWS), random.choice(np.arange(10, 500, 10), ROWS) * 1_000
    bill = random.integers(-500, 300_000, ROWS)
    fraud = _risk(random, 0.22, paid >= 2, limit < 60_000, bill > 200_000)
    return pd.DataFrame(
        {
            "ID": np.arange(1, ROWS + 1),
            "LIMIT_BAL": limit,
            "SEX": random.integers(1, 3, ROWS),
            "EDUCATION": random.integers(0, 7, ROWS),
            "AGE": _gaps(random, random.integers(21, 79, ROWS).astype(float), 0.01),
            "PAY_0": paid,
            "BILL_AMT1": bill,
            "PAY_AMT1": random.integers(0, 50_000, ROWS),
            "default.payment.next.month": fraud.astype(int),
        }
    )


SHAPES = (
    Shape(
        "ieee_cis",
        ieee_cis,
        {
            "target": "isFraud",
            "time_column": "TransactionDT",
            "amount_column": "TransactionAmt",
        },
    ),
    Shape("bank_account", bank_account, {"target": "fraud_bool"}),
    Shape(
        "sparkov",
        sparkov,
        {"target": "is_fraud", "time_column": "trans_date_trans_time", "amount_column": "amt"},
    ),
    Shape(
        "paysim",
        paysim,
        {
            "target": "isFraud",
            "time_column": "step",
            "amount_column": "amount",
            "time_unit": "h",
        },
    ),
    Shape("vehicle_claims", vehicle_claims, {"target": "FraudFound_P"}),
    Shape(
        "ecommerce",
        ecommerce,
        {
            "target": "class",
            "time_column": "purchase_time",
            "amount_column": "purchase_value",
        },
    ),
    Shape(
        "uci_default",
        uci_default,
        {"target": "default.payment.next.month", "amount_column": "LIMIT_BAL"},
    ),
)
