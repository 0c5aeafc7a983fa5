set dotenv-load

# Lists the recipes.
default:
    @just --list

# Starts Switchboard as a developer has it: SQLite, everything that is missing made.
run *arguments:
    cargo run -- {{ arguments }}

# Builds the console, which the program then carries. Needs Node.js 20.19 or newer.
console:
    npm --prefix console ci
    npm --prefix console run build

# What every change must pass; CI runs the same, and demands PostgreSQL and Redis.
check: && test deny
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings

# Formats the code.
fmt:
    cargo fmt --all

# Runs the tests, which hold schema.graphql and docs/ equal to the code. On PostgreSQL and
# with Redis too, where they are installed.
test *arguments:
    cargo test --workspace {{ arguments }}

# Runs other people's clients and the recipes against the server, against two of them where PostgreSQL and Redis are
# installed, and in Chromium where that is. Needs Node.js 20 or newer.
clients:
    cargo build --workspace --example live --bin listener --bin switchboard
    npm --prefix tests/clients ci
    npm --prefix tests/clients test

# Opens the console in Chromium (CHROMIUM says where it is) and makes the pictures of docs/evidence anew.
evidence:
    cargo build --bin switchboard
    npm --prefix tests/clients ci
    npm --prefix tests/clients run evidence

# Holds the dependencies to deny.toml.
deny:
    cargo deny check bans licenses sources

# Asks the public database of advisories about the dependencies, which CI does without.
audit:
    cargo deny check advisories

# Writes schema.graphql anew from the code.
schema:
    UPDATE_SCHEMA=1 cargo test --test it schema

# Writes the answers in docs/ anew from what the code answers.
docs-update:
    UPDATE_DOCS=1 cargo test --test it docs

# Builds the book into target/book, or shows it: `just book serve --open`. Needs mdbook and npm.
book command='build' *arguments: diagrams
    mdbook {{ command }} docs {{ arguments }}

# Brings what draws the book's diagrams: one file of an npm package, held to its digest.
[private]
diagrams:
    #!/usr/bin/env bash
    set -euo pipefail
    package=mermaid@11.17.2 file=docs/mermaid.min.js
    digest=581ed7d74bd9048d0e3a91363927d72ef22942d7722546b27f7cc29e35390eb8
    if ! echo "$digest  $file" | sha256sum --check --status 2>/dev/null; then
        folder=$(mktemp -d)
        trap 'rm -r "$folder"' EXIT
        npm pack --silent --pack-destination "$folder" "$package" >/dev/null
        tar -xzf "$folder"/*.tgz -C docs --strip-components=2 package/dist/mermaid.min.js
        echo "$digest  $file" | sha256sum --check --quiet
    fi

# Builds the container image with Docker. Without it, see .ci/image.
image:
    docker build --tag localhost/switchboard .
