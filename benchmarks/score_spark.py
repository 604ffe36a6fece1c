"""Scores a Parquet file with `mlflow.pyfunc.spark_udf` on this machine, for `benchmarks.score`.

    python -m benchmarks.score_spark MODEL DATA OUTPUT

In the environment of requirements.txt with PySpark, see docs/scale.md. Every core is a worker.
Prints the seconds of the pass over the table alone: reading, scoring, and writing the id beside the
answer to Parquet files.
"""

from __future__ import annotations

import sys
import time

from mlflow.pyfunc import spark_udf
from pyspark.sql import SparkSession
from pyspark.sql.functions import col, struct

from benchmarks.score import ID
from fraud_model.parallel import cores


def main(model: str, data: str, output: str) -> None:
    """Scores, and prints the seconds."""
    spark = (
        SparkSession.builder.master(f"local[{cores()}]")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.ui.enabled", "false")
        .getOrCreate()
    )
    score = spark_udf(spark, model, env_manager="local")
    columns = [
        col(f"`{each.name}`").cast(each.type.to_spark()).alias(each.name)
        for each in score.metadata.get_input_schema().inputs
    ]
    rows = spark.read.parquet(data)
    start = time.perf_counter()
    scored = rows.withColumn("scored", score(struct(*columns))).select(ID, "scored.*")
    scored.write.parquet(output)
    print(time.perf_counter() - start)


if __name__ == "__main__":
    main(*sys.argv[1:])
