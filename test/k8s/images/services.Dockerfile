# Kafka and Redis for test/k8s. The context is the folder of Kafka's jars.
ARG NODE_IMAGE=docker.io/library/node:24-bookworm-slim
FROM ${NODE_IMAGE}
RUN apt-get update \
    && apt-get install -y --no-install-recommends openjdk-17-jre-headless redis-server \
    && rm -rf /var/lib/apt/lists/*
COPY . /kafka
USER 1000:1000
ENTRYPOINT []
