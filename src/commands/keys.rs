//! `switchboard keys generate|rotate-signing|reseal`

use std::path::PathBuf;

use clap::Subcommand;
use secrecy::ExposeSecret;

use super::{Complaint, prepared};
use crate::accounts::{self, rotate_signing_keys};
use crate::games;
use crate::messages;
use crate::platform::entropy::SystemEntropy;
use crate::platform::private_files::read_or_make;
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

#[expect(clippy::print_stdout, reason = "the answer to a command")]
pub async fn run(what: Keys) -> Result<(), Complaint> {
    match what {
        Keys::Generate { to: None } => {
            println!("{}", Vault::generate(&SystemEntropy).expose_secret());
        }
        Keys::Generate { to: Some(path) } => {
            let (_, made) =
                read_or_make(&path, || Vault::generate(&SystemEntropy).expose_secret().to_owned())?;
            println!("{} {}", if made { "Made" } else { "There already:" }, path.display());
        }
        Keys::RotateSigning => {
            let (_, platform) = prepared().await?;
            println!(
                "Access tokens are signed with {} in two seconds, when every instance publishes it.",
                rotate_signing_keys(&platform).await?
            );
        }
        Keys::Reseal => {
            let (_, platform) = prepared().await?;
            let moved = accounts::reseal(&platform).await?
                + messages::reseal(&platform).await?
                + games::reseal(&platform).await?;
            println!("Sealed anew: {moved}.");
        }
    }
    Ok(())
}
