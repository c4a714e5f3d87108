# Tabulary with its Studio and all its drivers. Build: docker build -t tabulary .   More: docs/deployment.md

# The Studio: static files, built with the locked packages.
FROM node:22-slim AS studio
WORKDIR /build/studio
COPY studio/package.json studio/package-lock.json studio/.npmrc ./
RUN npm ci --no-audit --no-fund --ignore-scripts
COPY studio ./
RUN npm run build

# The Python environment. A compiler is here for drivers without a wheel for the platform, and stays here.
FROM python:3.13-slim AS build
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
RUN python -m venv /opt/tabulary
WORKDIR /build
COPY pyproject.toml hatch_build.py README.md CHANGELOG.md LICENSE ./
COPY src ./src
COPY --from=studio /build/src/tabulary/studio/dist ./src/tabulary/studio/dist
RUN /opt/tabulary/bin/pip install --no-cache-dir ".[all]"

FROM python:3.13-slim
COPY --from=build /opt/tabulary /opt/tabulary
RUN useradd --uid 1000 --create-home --home-dir /data --shell /usr/sbin/nologin tabulary \
    && install --directory --owner tabulary --group tabulary /data/uploads
ENV PATH=/opt/tabulary/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    LOG_STYLE=raw \
    DB_FILENAME=/data/tabulary.db \
    STORAGE_LOCAL_ROOT=/data/uploads
USER 1000
WORKDIR /data
VOLUME /data
EXPOSE 8055
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ.get(\"PORT\", 8055)}/server/ping', timeout=2)"]
ENTRYPOINT ["tabulary"]
CMD ["start"]
