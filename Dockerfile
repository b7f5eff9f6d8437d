# The demo page and the HTTP API, without torch. Nothing is written while it runs.
FROM python:3.12-slim AS base
WORKDIR /app
COPY . .
RUN pip install --no-cache-dir '.[serve]'
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --start-period=20s --start-interval=1s --timeout=5s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
ENTRYPOINT ["jointmat", "serve", "--host", "0.0.0.0"]

FROM base AS gpu
USER root
RUN pip uninstall --yes onnxruntime && pip install --no-cache-dir 'onnxruntime-gpu[cuda,cudnn]>=1.21'
USER 10001:10001
CMD ["--device", "cuda"]

FROM base AS cpu
