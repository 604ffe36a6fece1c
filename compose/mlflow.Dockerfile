# MLflow's tracking server with the driver of PostgreSQL, in the versions of the project's lock.
# With the newer psycopg 3 MLflow's registry fails: it compares version numbers with text.
FROM python:3.11-slim
# The driver is in the lock of the tests alone, since no entry point needs it.
COPY requirements.txt requirements-dev.txt /tmp/
RUN pip install --no-cache-dir --constraint /tmp/requirements.txt \
    mlflow "$(grep ^psycopg2-binary== /tmp/requirements-dev.txt)"
RUN useradd --uid 1000 --create-home mlflow && install --directory --owner 1000 /artifacts
USER 1000
WORKDIR /home/mlflow
