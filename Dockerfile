# Any system with npm, any Debian with Rust and a C compiler, and any Debian: `.ci/image` passes bases of its
# own.
ARG CONSOLE_BASE=node:24-bookworm-slim
ARG BUILD_BASE=rust:1.95-bookworm
ARG RUN_BASE=debian:bookworm-slim

FROM ${CONSOLE_BASE} AS console
WORKDIR /switchboard/console
COPY console/package.json console/package-lock.json ./
RUN npm ci --no-audit --no-fund
# Its build holds what the server's pages pin to npm's packages.
COPY src/server/console ../src/server/console
COPY console .
RUN npm run build

FROM ${BUILD_BASE} AS build
WORKDIR /switchboard
# The dependencies first, under empty crates of our own: this layer holds until a manifest changes.
COPY Cargo.toml Cargo.lock ./
COPY bench/Cargo.toml bench/
COPY examples/listener/Cargo.toml examples/listener/
COPY migration/Cargo.toml migration/
RUN mkdir src bench/src examples/listener/src migration/src \
 && echo 'fn main() {}' | tee src/main.rs examples/listener/src/main.rs > bench/src/main.rs \
 && touch src/lib.rs migration/src/lib.rs \
 && cargo build --release --locked \
 && cargo clean --release --package switchboard --package migration
COPY . .
COPY --from=console /switchboard/console/dist console/dist
RUN cargo build --release --locked

FROM ${RUN_BASE}
# The user has a number of its own, so that volumes still belong to it after the next build. Platforms that run an
# image under any user id give it group 0. /secrets is for docker-compose.yml: a new volume takes over the owner of
# the folder that it is mounted on.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 10001 --user-group --no-create-home --home-dir /data --shell /usr/sbin/nologin switchboard \
 && install --directory --owner switchboard --group root --mode 0770 /data /secrets /secrets/database
COPY --from=build /switchboard/target/release/switchboard /usr/local/bin/
USER 10001:10001
# Production, so that an image that is run with nothing set names what it needs instead of serving.
ENV ENVIRONMENT=production DATA_DIR=/data LISTEN=0.0.0.0:8000
VOLUME /data
EXPOSE 8000
ENTRYPOINT ["switchboard"]
CMD ["serve"]
