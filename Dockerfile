# Martlet as an image: docker build -t martlet .
# The configuration is mounted at /etc/martlet/reflector.toml; docs/howto/deploy.md shows how it is run.
ARG PYTHON=3.13

FROM python:${PYTHON}-slim AS build
WORKDIR /src
RUN python -m venv /opt/martlet
COPY pyproject.toml README.md LICENSE ./
COPY bgp bgp
COPY fib fib
COPY reflector reflector
# What `reflector example` prints.
COPY examples/reflector.toml examples/
RUN /opt/martlet/bin/pip install --no-cache-dir --disable-pip-version-check ".[cli,http,uvloop]"

FROM python:${PYTHON}-slim
RUN useradd --system --uid 10179 --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin martlet
RUN install -d -o martlet -g martlet -m 0755 /run/martlet
COPY --from=build /opt/martlet /opt/martlet
ENV PATH=/opt/martlet/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    REFLECTOR_SOCKET=/run/martlet/reflector.sock
USER 10179:10179
EXPOSE 179
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=12s --start-period=130s --retries=3 CMD ["reflector", "healthy"]
ENTRYPOINT ["reflector"]
CMD ["run", "/etc/martlet/reflector.toml"]
