//! `switchboard check`

use std::time::Duration;

use reqwest::Method;
use url::Url;

use super::{Complaint, configured};
use crate::app::{self, App};
use crate::config::sms::Gateway;
use crate::config::{Config, LookupSource};
use crate::error::{Error, Result};
use crate::messages::Messages;
use crate::platform::outbound::{Bounds, Trouble};
use crate::platform::{Platform, events};
use crate::server;

const BOUNDS: Bounds = Bounds { timeout: Duration::from_secs(5), bytes: 1 << 20 };

/// A line that says what was found, or what is wrong.
type Finding = Result<String, String>;

#[expect(clippy::print_stdout, reason = "the answer to a command")]
pub async fn run() -> Result<(), Complaint> {
    let mut config = configured()?;
    println!("configuration: good");
    let (platform, mut problems) = app::assemble(&mut config);
    for assumed in &config.assumed {
        println!("  {assumed}");
    }
    let is_assembled = problems.is_empty();
    let database = check_database(&platform).await;
    let has_database = database.is_ok();
    let mut findings = vec![database];
    // What stands in for them says nothing.
    if is_assembled {
        findings.push(check_temp_files(&config, &platform));
        findings.push(check_files(&platform).await);
    }
    findings
        .extend([check_redis(&config, &platform).await, check_lookup(&config, &platform).await]);
    findings.extend(check_sms(&config, &platform).await);
    if has_database && is_assembled {
        findings.push(check_tables(config, platform).await);
    }
    for finding in findings {
        match finding {
            Ok(line) => println!("{line}"),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(Complaint(problems)) }
}

async fn check_database(platform: &Platform) -> Finding {
    platform.database.ping().await.map_err(|error| cause_of(&error))?;
    let ready = platform.database.ensure_ready().await;
    ready.map_err(|error| format!("DATABASE_URL: {}", error.failures()[0].message))?;
    Ok(format!("database: {} answers", platform.database.name()))
}

/// Writes a file as large as an upload may be.
fn check_temp_files(config: &Config, platform: &Platform) -> Finding {
    let (files, bytes) = (&platform.temp_files, config.graphql.upload_bytes);
    let folder = files.folder().display();
    match files.reserve(bytes) {
        Ok(()) => Ok(format!("temporary files: {folder} takes an upload of {bytes} bytes")),
        Err(error) => Err(format!("temporary files: {folder}: {bytes} bytes: {error}")),
    }
}

/// Keeps a file, reads it and deletes it again.
async fn check_files(platform: &Platform) -> Finding {
    let files = &platform.files;
    let name = format!("check/{}", data_encoding::HEXLOWER.encode(&platform.random::<16>()));
    let tried = async {
        files.put(&name, "text/plain", b"Switchboard".into()).await?;
        let kept = files.get(&name).await?;
        files.delete(&name).await?;
        Ok::<_, Error>(kept.is_some_and(|kept| kept == "Switchboard"))
    };
    match tried.await {
        Ok(true) => Ok(format!("files: {} keeps them", files.place())),
        Ok(false) => Err(format!("files: {} lost one", files.place())),
        Err(error) => Err(format!("files: {}: {}", files.place(), error.describe())),
    }
}

async fn check_redis(config: &Config, platform: &Platform) -> Finding {
    if config.redis_url.is_none() {
        return Ok("Redis: not set, one instance needs none".into());
    }
    events::try_redis(platform).await.map_err(|error| cause_of(&error))?;
    Ok("Redis: answers, and carries events between instances".into())
}

async fn check_lookup(config: &Config, platform: &Platform) -> Finding {
    let (name, base_url) = match &config.lookup {
        LookupSource::Offline => return Ok("lookup: offline, nothing to reach".into()),
        LookupSource::MessageBird { base_url, .. } => ("MessageBird", base_url),
        LookupSource::Twilio { base_url, .. } => ("Twilio", base_url),
    };
    reach(platform, "lookup", name, base_url).await
}

async fn check_sms(config: &Config, platform: &Platform) -> Vec<Finding> {
    if let Err(problem) = Messages::new(platform, config) {
        return vec![Err(problem)];
    }
    let mut findings = Vec::new();
    if config.sms.gateway.is_none() {
        findings.push(Ok("SMS: no gateway, messages wait until SMS_GATEWAY names one".into()));
    }
    let fallback = config.sms.fallback.iter().map(|gateway| ("SMS fallback", gateway));
    let first = config.sms.gateway.iter().map(|gateway| ("SMS", gateway));
    for (what, gateway) in first.chain(fallback) {
        findings.push(match gateway {
            Gateway::Console => Ok(format!("{what}: printed, and shown at /dev/messages")),
            Gateway::Twilio(twilio) => reach(platform, what, "Twilio", &twilio.base_url).await,
            Gateway::MessageBird(bird) => {
                reach(platform, what, "MessageBird", &bird.base_url).await
            }
            // Its placeholders stand behind the host.
            Gateway::Http(http) => match Url::parse(&http.url) {
                Ok(url) => reach(platform, what, "your gateway", &url).await,
                Err(_) => Err("SMS_HTTP_URL: must be a URL".into()),
            },
        });
    }
    findings
}

async fn check_tables(config: Config, platform: Platform) -> Finding {
    let pending = platform.database.pending_migrations().await;
    match pending.map_err(|error| cause_of(&error))? {
        0 => {
            let app = App::new(config, platform).await.map_err(|error| cause_of(&error))?;
            server::engine(&app)?;
            Ok("keys: the signing key opens with SECRET_KEYS".into())
        }
        missing => {
            Ok(format!("tables: {missing} changes to apply; `switchboard migrate` or a start does"))
        }
    }
}

/// Whether a service can be reached. It is asked for nothing but the page at its top, and any answer will do.
async fn reach(platform: &Platform, what: &str, name: &str, url: &Url) -> Finding {
    // Without what else a URL may hold: keys, and for a gateway by GET the message itself.
    let host = url.origin().ascii_serialization();
    let top = Url::parse(&host).map_err(|error| format!("{what}: {error}"))?;
    match platform.outbound.send(platform.outbound.request(Method::GET, top), BOUNDS).await {
        Ok(_) | Err(Trouble::TooLarge) => Ok(format!(
            "{what}: {name} can be reached at {host}; its key is not tried, for that costs money"
        )),
        Err(trouble) => Err(format!("{what}: {name} at {host}: {trouble}")),
    }
}

fn cause_of(error: &Error) -> String {
    error.cause().unwrap_or_else(|| error.describe())
}
