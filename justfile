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

# What every change must pass; CI runs the same, and demands PostgreSQL.
check: && test deny
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings

# Formats the code.
fmt:
    cargo fmt --all

# Runs the tests, which hold schema.graphql and docs/ equal to the code. On PostgreSQL too where it is installed.
test *arguments:
    cargo test --workspace {{ arguments }}

# Runs other people's clients against the server. Needs Node.js 20 or newer.
clients:
    cargo build --example live
    npm --prefix tests/clients ci
    npm --prefix tests/clients test

# Opens the console in Chromium (CHROMIUM says where it is) and makes the pictures of docs/evidence anew.
evidence:
    cargo build --example live
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

# Builds the container image with Docker. Without it, see .ci/image.
image:
    docker build --tag localhost/switchboard .
