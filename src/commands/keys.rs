//! `switchboard keys generate|rotate-signing|reseal`: manages the key ring and the signing keys.

use std::path::PathBuf;

use clap::Subcommand;
use secrecy::ExposeSecret;

use super::cli_error::CliError;
use super::startup::prepare_platform;
use crate::accounts::{self, rotate_signing_keys};
use crate::bonuses;
use crate::connections;
use crate::games;
use crate::messages;
use crate::platform::entropy::SystemEntropy;
use crate::platform::private_files::read_or_create_private_file;
use crate::platform::vault::Vault;

/// Looks after the keys.
#[derive(Subcommand)]
pub enum Keys {
    /// Makes a value for SECRET_KEYS.
    Generate {
        /// Writes it to this file, for us alone, unless the file is there already.
        #[arg(long)]
        to: Option<PathBuf>,
    },
    /// Signs access tokens with a new key. The old one verifies until its tokens are over.
    RotateSigning,
    /// Seals every secret in the database under the first key of SECRET_KEYS, so that old keys can go.
    Reseal,
}

#[expect(clippy::print_stdout, reason = "the output of the command")]
pub async fn run(command: Keys) -> Result<(), CliError> {
    match command {
        Keys::Generate { to: None } => {
            println!("{}", Vault::generate(&SystemEntropy).expose_secret());
        }
        Keys::Generate { to: Some(path) } => {
            let (_, is_new) = read_or_create_private_file(&path, || {
                Vault::generate(&SystemEntropy).expose_secret().to_owned()
            })?;
            println!("{} {}", if is_new { "Made" } else { "There already:" }, path.display());
        }
        Keys::RotateSigning => {
            let (_, platform) = prepare_platform().await?;
            println!(
                "Access tokens are signed with {} in two seconds, when every instance publishes it.",
                rotate_signing_keys(&platform).await?
            );
        }
        Keys::Reseal => {
            let (_, platform) = prepare_platform().await?;
            let count = accounts::reseal(&platform).await?
                + messages::reseal(&platform).await?
                + bonuses::reseal(&platform).await?
                + connections::reseal(&platform).await?
                + games::reseal_seeds(&platform).await?;
            println!("Sealed anew: {count}.");
        }
    }
    Ok(())
}
