//! The product with a few fields more, for clients that want to see every transport at work. It is
//! configured and started like the product: `cargo run --example live`.

mod schema;

fn main() -> std::process::ExitCode {
    switchboard::commands::serve_engine(schema::engine)
}
