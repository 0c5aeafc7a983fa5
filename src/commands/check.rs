//! `switchboard check`

use std::time::Duration;

use reqwest::Method;
use url::Url;

use super::{Complaint, configured};
use crate::app::{self, App};
use crate::config::{Config, LookupSource};
use crate::platform::Platform;
use crate::platform::outbound::{Bounds, Trouble};

const BOUNDS: Bounds = Bounds { timeout: Duration::from_secs(5), bytes: 1 << 20 };

#[expect(clippy::print_stdout, reason = "the answer to a command")]
pub async fn run() -> Result<(), Complaint> {
    let mut config = configured()?;
    println!("configuration: good");
    let platform = app::platform(&mut config).await?;
    for assumed in &config.assumed {
        println!("  {assumed}");
    }
    platform.database.ping().await?;
    println!("database: {} answers", platform.database.name());
    check_lookup(&config, &platform).await?;
    match platform.database.missing_changes().await? {
        0 => {
            App::new(config, platform).await?;
            println!("keys: the signing key opens with SECRET_KEYS");
        }
        missing => {
            println!("tables: {missing} changes to apply; `switchboard migrate` or a start does");
        }
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the answer to a command")]
async fn check_lookup(config: &Config, platform: &Platform) -> Result<(), Complaint> {
    let (name, base_url): (_, &Url) = match &config.lookup {
        LookupSource::Offline => {
            println!("lookup: offline, nothing to reach");
            return Ok(());
        }
        LookupSource::MessageBird { base_url, .. } => ("MessageBird", base_url),
        LookupSource::Twilio { base_url, .. } => ("Twilio", base_url),
    };
    // Without what else a URL may hold.
    let host = base_url.origin().ascii_serialization();
    // Any answer will do: a lookup would cost money.
    match platform
        .outbound
        .send(platform.outbound.request(Method::GET, base_url.clone()), BOUNDS)
        .await
    {
        Ok(_) | Err(Trouble::TooLarge) => {
            println!(
                "lookup: {name} can be reached at {host}; its key is not tried, for that costs money"
            );
            Ok(())
        }
        Err(trouble) => Err(Complaint(vec![format!("lookup: {name} at {host}: {trouble}")])),
    }
}
