//! `switchboard check`: checks the configuration and each dependency.

use std::time::Duration;

use reqwest::Method;
use url::Url;

use super::check_files::{check_files, check_public_url};
use super::cli_error::CliError;
use super::startup::load_config_and_start_log;
use crate::app::{self, App};
use crate::bonuses::Inbox;
use crate::config::sms::GatewayConfig;
use crate::config::{Config, LookupSource};
use crate::connections::Connections;
use crate::error::{Error, Result};
use crate::messages::Messages;
use crate::platform::outbound::{EgressPolicy, OutboundError, Request};
use crate::platform::{Platform, events};
use crate::server;

const TIMEOUT: Duration = Duration::from_secs(5);

/// The outcome of one check: a line of output, or a problem.
type CheckResult = Result<String, String>;

#[expect(clippy::print_stdout, reason = "the output of the command")]
pub async fn run() -> Result<(), CliError> {
    let mut config = load_config_and_start_log()?;
    println!("configuration: good");
    let (platform, mut problems) = app::build_platform_with_substitutes(&mut config);
    for line in &config.defaults_used {
        println!("  {line}");
    }
    let is_complete = problems.is_empty();
    let database = check_database(&platform).await;
    let has_database = database.is_ok();
    let mut results = vec![database];
    // Substitutes stand in for dependencies with invalid settings. Checking them would tell nothing.
    if is_complete {
        results.push(check_temp_files(&config, &platform));
        results.push(check_files(&platform).await);
        results.extend(check_public_url(&config, &platform).await);
    }
    let inbox = check_bonus_inbox(&config).await;
    let has_inbox = !matches!(inbox, Some(Err(_)));
    results.extend(inbox);
    results.extend([check_redis(&config, &platform).await, check_lookup(&config, &platform).await]);
    results.extend(check_sms(&config, &platform).await);
    let providers = check_providers(&config);
    let has_providers = providers.iter().all(CheckResult::is_ok);
    results.extend(providers);
    if has_database && has_inbox && is_complete && has_providers {
        results.push(check_migrations_and_keys(config, platform).await);
    }
    for result in results {
        match result {
            Ok(line) => println!("{line}"),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(CliError(problems)) }
}

async fn check_database(platform: &Platform) -> CheckResult {
    platform.database.ping().await.map_err(|error| describe_cause(&error))?;
    let ready = platform.database.ensure_ready().await;
    ready.map_err(|error| format!("DATABASE_URL: {}", error.user_errors()[0].message))?;
    platform.database.ping_reporting().await.map_err(|error| describe_cause(&error))?;
    Ok(format!("database: {} answers", platform.database.product_name()))
}

/// Reserves a file of the maximum size of an upload.
fn check_temp_files(config: &Config, platform: &Platform) -> CheckResult {
    let (files, bytes) = (&platform.temp_files, config.graphql.max_upload_bytes);
    let folder = files.folder().display();
    match files.ensure_space(bytes) {
        Ok(()) => Ok(format!("temporary files: {folder} takes an upload of {bytes} bytes")),
        Err(error) => Err(format!("temporary files: {folder}: {bytes} bytes: {error}")),
    }
}

/// Opens the inbox, which creates missing folders, and lists it.
async fn check_bonus_inbox(config: &Config) -> Option<CheckResult> {
    let inbox = match Inbox::open(config.bonus_inbox.as_ref()?) {
        Ok(inbox) => inbox,
        Err(problem) => return Some(Err(problem)),
    };
    let location = inbox.location();
    Some(match inbox.count_waiting().await {
        Ok(waiting) => Ok(format!("bonus inbox: {location} has {waiting} files to import")),
        Err(error) => Err(format!("BONUS_INBOX: {location}: {}", describe_cause(&error))),
    })
}

async fn check_redis(config: &Config, platform: &Platform) -> CheckResult {
    if config.redis_url.is_none() {
        return Ok("Redis: not set, one instance needs none".into());
    }
    events::check_redis(platform).await.map_err(|error| describe_cause(&error))?;
    Ok("Redis: answers, and carries events between instances".into())
}

async fn check_lookup(config: &Config, platform: &Platform) -> CheckResult {
    let (name, base_url) = match &config.lookup {
        LookupSource::Offline => return Ok("lookup: offline, nothing to reach".into()),
        LookupSource::MessageBird { base_url, .. } => ("MessageBird", base_url),
        LookupSource::Twilio { base_url, .. } => ("Twilio", base_url),
    };
    check_reachable(platform, "lookup", name, base_url).await
}

/// Reads the entries of the providers of API connections.
fn check_providers(config: &Config) -> Vec<CheckResult> {
    match Connections::new(config) {
        Ok(connections) => {
            let count = connections.catalog.iter().count();
            vec![Ok(format!("connections: {count} providers"))]
        }
        Err(problems) => problems.into_iter().map(Err).collect(),
    }
}

async fn check_sms(config: &Config, platform: &Platform) -> Vec<CheckResult> {
    if let Err(problem) = Messages::new(platform, config) {
        return vec![Err(problem)];
    }
    let mut results = Vec::new();
    if config.sms.gateway.is_none() {
        results.push(Ok("SMS: no gateway, messages wait until SMS_GATEWAY names one".into()));
    }
    let fallback = config.sms.fallback.iter().map(|gateway| ("SMS fallback", gateway));
    let first = config.sms.gateway.iter().map(|gateway| ("SMS", gateway));
    for (role, gateway) in first.chain(fallback) {
        results.push(match gateway {
            GatewayConfig::Console => Ok(format!("{role}: printed, and shown at /dev/messages")),
            GatewayConfig::Twilio(twilio) => {
                check_reachable(platform, role, "Twilio", &twilio.base_url).await
            }
            GatewayConfig::MessageBird(bird) => {
                check_reachable(platform, role, "MessageBird", &bird.base_url).await
            }
            // Only the part after the host has placeholders.
            GatewayConfig::Http(http) => match Url::parse(&http.url) {
                Ok(url) => check_reachable(platform, role, "your gateway", &url).await,
                Err(_) => Err("SMS_HTTP_URL: must be a URL".into()),
            },
        });
    }
    results
}

async fn check_migrations_and_keys(config: Config, platform: Platform) -> CheckResult {
    let pending = platform.database.count_pending_migrations().await;
    match pending.map_err(|error| describe_cause(&error))? {
        0 => {
            let app = App::new(config, platform).await.map_err(|error| describe_cause(&error))?;
            server::build_engine(&app)?;
            Ok("keys: the signing key opens with SECRET_KEYS".into())
        }
        pending => {
            Ok(format!("tables: {pending} changes to apply; `switchboard migrate` or a start does"))
        }
    }
}

/// Checks that a service can be reached: requests its root path and accepts any response.
async fn check_reachable(platform: &Platform, role: &str, name: &str, url: &Url) -> CheckResult {
    // Only the origin: the rest of the URL may contain keys, or placeholders for the message.
    let host = url.origin().ascii_serialization();
    let root = Url::parse(&host).map_err(|error| format!("{role}: {error}"))?;
    let policy = EgressPolicy { timeout: TIMEOUT, ..EgressPolicy::operator() };
    match platform.outbound.call(Request::new(Method::GET, root), &policy).await {
        Ok(_) | Err(OutboundError::TooLarge) => Ok(format!(
            "{role}: {name} can be reached at {host}; its key is not tried, for that costs money"
        )),
        Err(error) => Err(format!("{role}: {name} at {host}: {error}")),
    }
}

fn describe_cause(error: &Error) -> String {
    error.cause().unwrap_or_else(|| error.describe())
}
