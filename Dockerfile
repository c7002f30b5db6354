# soloist in a small image: one binary, a C library, nobody to log in as.
#
#   docker build -t soloist .
#
# builds it from these sources, which takes a while. Where the binary is there already
# (target/release/soloist, for glibc 2.36 or later), it is put into the same image by
#
#   docker build -t soloist --target prebuilt .

# No shell, no package manager; `:debug-nonroot` of the same image has a shell.
FROM gcr.io/distroless/cc-debian12:nonroot AS base
# The store of a host alone, and what was compiled, would lie in the home of this user.
USER 65532:65532
WORKDIR /home/nonroot
ENV SOLOIST_LISTEN=0.0.0.0:4000 \
    SOLOIST_PLUGINS=/plugins \
    SOLOIST_LOG_FORMAT=json
EXPOSE 3000 4000
# The process alone: a host that has lost its store is well, and /readyz says what it lacks.
# A host with `tls` needs SOLOIST_URL=https://127.0.0.1:4000 and SOLOIST_CA=FILE in its
# environment, and a certificate that is valid for 127.0.0.1.
HEALTHCHECK --interval=5s --timeout=3s --start-period=20s --retries=3 \
    CMD ["soloist", "status", "--live"]
# As process 1 the supervisor passes SIGTERM on, and its host hands over before it ends.
STOPSIGNAL SIGTERM
ENTRYPOINT ["soloist"]
CMD ["run"]

# Before the builder, so that an engine which builds stage after stage can stop here:
# `cargo xtask compose` does, which has no network to build with.
FROM base AS prebuilt
COPY target/release/soloist /usr/local/bin/soloist

FROM rust:1.95-bookworm AS builder
RUN apt-get update \
    && apt-get install -y --no-install-recommends protobuf-compiler libprotobuf-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY Cargo.toml Cargo.lock ./
COPY host host
COPY wit wit
COPY tests tests
COPY xtask xtask
RUN cargo build --profile dist --locked --package soloist

FROM base
COPY --from=builder /build/target/dist/soloist /usr/local/bin/soloist
