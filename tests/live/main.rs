//! The product with additional fields, to try every transport with real clients. It is configured and started like
//! the product: `cargo run --example live`.

mod schema;

fn main() -> std::process::ExitCode {
    switchboard::commands::serve_engine(schema::engine)
}
