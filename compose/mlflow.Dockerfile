# MLflow's tracking server with the driver of PostgreSQL, in the versions of the project's lock.
# With the newer psycopg 3 MLflow's registry fails: it compares version numbers with text.
FROM python:3.11-slim
COPY requirements.txt /tmp/requirements.txt
RUN pip install --no-cache-dir --constraint /tmp/requirements.txt mlflow psycopg2-binary
RUN useradd --uid 1000 --create-home mlflow && install --directory --owner 1000 /artifacts
USER 1000
WORKDIR /home/mlflow
