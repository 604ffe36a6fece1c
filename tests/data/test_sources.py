"""Tables come from databases and object stores too; what fails there is said in one line."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pandas as pd
import pytest
import sqlalchemy

from fraud_model.data.cloud import without_secrets
from fraud_model.data.sources import read_source
from fraud_model.errors import DataError, ParameterError
from tests.support.file_server import serve
from tests.support.object_store import object_store, use_store
from tests.support.postgresql import PASSWORD, needs_postgresql, postgresql


@pytest.fixture
def shop() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "amount": [1.5, None, 3.0],
            "merchant": ["50% off", None, "c"],
            "moment": pd.Series(
                [pd.Timestamp("2026-01-01 10:00"), pd.NaT, pd.Timestamp("2026-01-03")]
            ),
            "Class": [0, 1, 0],
        }
    )


def refusal(data: str, query: str = "") -> str:
    with pytest.raises((DataError, ParameterError)) as refused:
        read_source(data, query)
    message = str(refused.value)
    assert "\n" not in message
    assert PASSWORD not in message
    return message


def test_a_query_reads_sqlite(
    tmp_path: Path, shop: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    engine = sqlalchemy.create_engine("sqlite:///bank.db")
    shop.drop(columns="moment").to_sql("shop", engine, index=False)
    engine.dispose()
    read = read_source("sqlite:///bank.db", "SELECT * FROM shop WHERE merchant LIKE '50%'")
    assert read.frame["merchant"].tolist() == ["50% off"]
    assert (read.source, read.kind) == ("sqlite:///bank.db", "real")
    whole = read_source("sqlite:///bank.db", "SELECT * FROM shop")
    pd.testing.assert_frame_equal(whole.frame, shop.drop(columns="moment"))
    assert "no such table: shops" in refusal("sqlite:///bank.db", "SELECT * FROM shops")
    assert "is no SELECT" in refusal("sqlite:///bank.db", "DELETE FROM shop")
    assert len(read_source("sqlite:///bank.db", "SELECT * FROM shop").frame) == 3
    assert "no such file" in refusal("sqlite:///absent.db", "SELECT 1")
    assert not Path("absent.db").exists()


def test_a_database_and_a_query_belong_together() -> None:
    address = f"postgresql://me:{PASSWORD}@127.0.0.1:1/bank"
    assert "-P query=" in refusal(address)
    assert "-P query= needs a database" in refusal("t.csv", "SELECT 1")
    assert "Connection refused" in refusal(address, "SELECT 1")
    assert "needs a driver that is not installed" in refusal("oracle://me@host/bank", "SELECT 1")
    assert "ftp:// is no kind of address" in refusal("ftp://host/t.csv")
    broken = f"postgresql://me:{PASSWORD}:x:y@host:port/bank"
    assert "special characters as %40" in refusal(broken, "SELECT 1")


@pytest.mark.slow
@needs_postgresql
def test_a_query_reads_postgresql(tmp_path: Path, shop: pd.DataFrame) -> None:
    with postgresql(tmp_path) as host:
        address = f"postgresql://mlflow:{PASSWORD}@{host}/mlflow"
        engine = sqlalchemy.create_engine(address.replace("://", "+psycopg2://", 1))
        shop.to_sql("shop", engine, index=False)
        engine.dispose()
        more = "1.25::numeric AS price, true AS web, now() AS zoned, interval '1 day' AS span"
        read = read_source(address, f"SELECT *, {more} FROM shop")
        pd.testing.assert_frame_equal(read.frame[list(shop.columns)], shop, check_dtype=False)
        kinds = {name: str(dtype) for name, dtype in read.frame.dtypes.items()}
        assert (kinds["price"], kinds["web"]) == ("float64", "bool")
        some = read_source(address, "SELECT * FROM shop WHERE merchant LIKE '50%'")
        assert some.frame["merchant"].tolist() == ["50% off"]
        assert read.frame["span"].tolist() == [86_400.0] * 3
        assert kinds["moment"].startswith("datetime64")
        assert kinds["zoned"] in ("datetime64[us]", "datetime64[ns]")
        assert read.source == f"postgresql://{host}/mlflow"
        assert 'relation "shops" does not exist' in refusal(address, "SELECT * FROM shops")
        assert "'list'" in refusal(address, "SELECT ARRAY[1, 2] AS list, 1 AS a")
        wrong = address.replace(PASSWORD, "wr0ng")
        message = refusal(wrong, "SELECT 1")
        assert "authentication failed" in message
        assert "wr0ng" not in message


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("t.parquet", "t.parquet"),
        ("s3://bank/t.parquet?region=eu", "s3://bank/t.parquet?region=eu"),
        (f"s3://key:{PASSWORD}@bank/t.parquet?region=eu", "s3://bank/t.parquet?region=eu"),
        ("abfss://bank@host.net/t.parquet", "abfss://bank@host.net/t.parquet"),
        (f"abfss://bank@host.net/t.parquet?sig={PASSWORD}", "abfss://bank@host.net/t.parquet"),
    ],
)
def test_an_address_is_shown_without_its_secrets(address: str, shown: str) -> None:
    assert without_secrets(address) == shown


@pytest.mark.slow
def test_s3_gives_files_folders_and_patterns(
    shop: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = shop.drop(columns="moment")
    bucket = "s3://bank"
    with object_store("bank") as store:
        use_store(store.endpoint, monkeypatch)
        for day in ("1", "2"):
            store.put(f"days/day={day}/x.parquet", shop.to_parquet(index=False))
            store.put(f"files/{day}.csv", plain.to_csv(index=False).encode())
        one = read_source(f"{bucket}/files/1.csv")
        pd.testing.assert_frame_equal(one.frame, plain)
        assert one.source == "s3://bank/files/1.csv"
        assert read_source(f"{bucket}/days").frame["day"].tolist() == [1, 1, 1, 2, 2, 2]
        assert len(read_source(f"{bucket}/files/*.csv").frame) == 6
        assert f"{bucket}/files/3.csv: no such file" in refusal(f"{bucket}/files/3.csv")
        assert "no such file" in refusal("s3://absent/files/*.csv")
        store.put("files/3.csv", b"a,a\n1,2\n")
        assert f"{bucket}/files/3.csv: duplicate columns" in refusal(f"{bucket}/files/*.csv")


@pytest.mark.slow
def test_a_public_bucket_needs_no_credentials(
    shop: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = shop.to_parquet(index=False)
    with object_store("bank") as store:
        store.put("public/x.parquet", content, acl="public-read")
        store.put("private/x.parquet", content)
        # Those that are set are not sent to `anonymous@`.
        for credentials in (False, True):
            use_store(store.endpoint, monkeypatch, credentials=credentials)
            for address in ("public/x.parquet", "public", "public/*.parquet"):
                read = read_source(f"s3://anonymous@bank/{address}")
                pd.testing.assert_frame_equal(read.frame, shop, check_dtype=False)
            message = refusal("s3://anonymous@bank/private/x.parquet")
            assert "leave anonymous@ out" in message
        assert len(read_source("s3://bank/private/x.parquet").frame) == len(shop)
        use_store(store.endpoint, monkeypatch, credentials=False)
        assert len(read_source("s3://bank/public/x.parquet").frame) == len(shop)
        message = refusal("s3://bank/private/x.parquet")
        assert "without credentials: s3://anonymous@bank/private/x.parquet" in message


@pytest.mark.slow
def test_a_store_that_refuses_or_is_silent_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = "s3://bank"

    class Forbidding(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(403)
            self.end_headers()

        do_GET = do_HEAD

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    with serve(Forbidding) as url:
        use_store(url, monkeypatch)
        assert "access is refused" in refusal(f"{bucket}/files/1.csv")
    assert "does not answer" in refusal(f"s3://key:{PASSWORD}@bank/files/1.csv")
