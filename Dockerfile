# The serving image: fraud_model.serving around one exported model version.
#
#   mlflow run . -e export && docker build -t fraud-detector . && docker run -p 7860:7860 fraud-detector
#
# `mlflow run . -e image` does the same and checks what the image answers.
FROM python:3.11-slim

# LightGBM needs OpenMP, which the slim image lacks.
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgomp1 \
    && apt-get clean \
    && rm -rf /var/lib/apt/lists/*

# Versions come from the project's lock; mlflow-skinny is MLflow without training, stores and UI.
# The packages' tests are removed, and only what serving imports is compiled to bytecode: together
# they would be a quarter of the image.
COPY requirements.txt /tmp/requirements.txt
RUN pip install --no-cache-dir --no-compile --constraint /tmp/requirements.txt \
    mlflow-skinny lightgbm numpy pandas scipy cloudpickle pyarrow \
    uvicorn starlette uvloop httptools orjson prometheus-client pyyaml requests sqlalchemy \
    && find /usr/local/lib -type d -name tests -prune -exec rm -r {} + \
    && python -c "import mlflow.pyfunc.scoring_server, lightgbm, pyarrow.parquet, uvicorn, \
uvloop, httptools, orjson, prometheus_client.multiprocess, starlette.middleware.cors"

RUN useradd --uid 1000 --create-home server && install --directory --owner 1000 /audit
WORKDIR /srv
ENV PYTHONUNBUFFERED=1 MODEL_URI=/srv/model PORT=7860
COPY fraud_model fraud_model
RUN python -m fraud_model.serving --help > /dev/null
COPY model model

USER 1000
EXPOSE 7860
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s CMD ["python", "-c", \
    "import os, urllib.request as r; r.urlopen(f\"http://127.0.0.1:{os.environ['PORT']}/health\", timeout=4)"]
CMD ["sh", "-c", "exec python -m fraud_model.serving --host 0.0.0.0 --port \"$PORT\""]
