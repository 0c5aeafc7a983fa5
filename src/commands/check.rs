//! `switchboard check`

use std::time::Duration;

use reqwest::Method;
use url::Url;

use super::{Complaint, configured};
use crate::app::{self, App};
use crate::config::sms::Gateway;
use crate::config::{Config, LookupSource};
use crate::error::Error;
use crate::messages::Messages;
use crate::platform::outbound::{Bounds, Trouble};
use crate::platform::{Platform, events};
use crate::server;

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
    check_files(&platform).await?;
    match config.redis_url {
        Some(_) => {
            events::try_redis(&platform).await?;
            println!("Redis: answers, and carries events between instances");
        }
        None => println!("Redis: not set, one instance needs none"),
    }
    check_lookup(&config, &platform).await?;
    check_sms(&config, &platform).await?;
    match platform.database.missing_changes().await? {
        0 => {
            let app = App::new(config, platform).await?;
            server::engine(&app).map_err(|problem| Complaint(vec![problem]))?;
            println!("keys: the signing key opens with SECRET_KEYS");
        }
        missing => {
            println!("tables: {missing} changes to apply; `switchboard migrate` or a start does");
        }
    }
    Ok(())
}

/// Keeps a file, reads it and deletes it again.
#[expect(clippy::print_stdout, reason = "the answer to a command")]
async fn check_files(platform: &Platform) -> Result<(), Complaint> {
    let files = &platform.files;
    let name = format!("check/{}", data_encoding::HEXLOWER.encode(&platform.random::<16>()));
    let tried = async {
        files.put(&name, "text/plain", b"Switchboard".into()).await?;
        let kept = files.get(&name).await?;
        files.delete(&name).await?;
        Ok::<_, Error>(kept.is_some_and(|kept| kept == "Switchboard"))
    };
    match tried.await {
        Ok(true) => println!("files: {} keeps them", files.place()),
        Ok(false) => return Err(Complaint(vec![format!("files: {} lost one", files.place())])),
        Err(error) => {
            return Err(Complaint(vec![format!("files: {}: {}", files.place(), error.describe())]));
        }
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the answer to a command")]
async fn check_lookup(config: &Config, platform: &Platform) -> Result<(), Complaint> {
    let (name, base_url) = match &config.lookup {
        LookupSource::Offline => {
            println!("lookup: offline, nothing to reach");
            return Ok(());
        }
        LookupSource::MessageBird { base_url, .. } => ("MessageBird", base_url),
        LookupSource::Twilio { base_url, .. } => ("Twilio", base_url),
    };
    reach(platform, "lookup", name, base_url).await
}

#[expect(clippy::print_stdout, reason = "the answer to a command")]
async fn check_sms(config: &Config, platform: &Platform) -> Result<(), Complaint> {
    Messages::new(platform, config).map_err(|problem| Complaint(vec![problem]))?;
    if config.sms.gateway.is_none() {
        println!("SMS: no gateway, messages wait until SMS_GATEWAY names one");
    }
    let fallback = config.sms.fallback.iter().map(|gateway| ("SMS fallback", gateway));
    let first = config.sms.gateway.iter().map(|gateway| ("SMS", gateway));
    for (what, gateway) in first.chain(fallback) {
        match gateway {
            Gateway::Console => println!("{what}: printed, and shown at /dev/messages"),
            Gateway::Twilio(twilio) => reach(platform, what, "Twilio", &twilio.base_url).await?,
            Gateway::MessageBird(bird) => {
                reach(platform, what, "MessageBird", &bird.base_url).await?;
            }
            Gateway::Http(http) => {
                // Its placeholders stand behind the host.
                let url = Url::parse(&http.url)
                    .map_err(|_| Complaint(vec!["SMS_HTTP_URL: must be a URL".into()]))?;
                reach(platform, what, "your gateway", &url).await?;
            }
        }
    }
    Ok(())
}

/// Whether a service can be reached. It is asked for nothing but the page at its top, and any answer will do.
#[expect(clippy::print_stdout, reason = "the answer to a command")]
async fn reach(platform: &Platform, what: &str, name: &str, url: &Url) -> Result<(), Complaint> {
    // Without what else a URL may hold: keys, and for a gateway by GET the message itself.
    let host = url.origin().ascii_serialization();
    let top = Url::parse(&host).map_err(|error| Complaint(vec![format!("{what}: {error}")]))?;
    match platform.outbound.send(platform.outbound.request(Method::GET, top), BOUNDS).await {
        Ok(_) | Err(Trouble::TooLarge) => {
            println!(
                "{what}: {name} can be reached at {host}; its key is not tried, for that costs money"
            );
            Ok(())
        }
        Err(trouble) => Err(Complaint(vec![format!("{what}: {name} at {host}: {trouble}")])),
    }
}
