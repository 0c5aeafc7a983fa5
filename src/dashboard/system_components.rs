//! Checks of the components of the system. A check never fails: what does not answer is down.

use std::time::Duration;

use super::system_status::{DATABASE, SystemState};
use crate::contacts::CachedLookup;
use crate::error::Error;
use crate::messages::GatewayState;
use crate::platform::Platform;
use crate::platform::clock::Timestamp;
use crate::platform::database::timeout;
use crate::platform::events::RedisLink;
use crate::platform::instances::Instance;
use crate::platform::jobs::{JobFailures, JobStats};

/// How long a component may take to answer.
const CHECK_TIMEOUT: Duration = Duration::from_millis(1500);
/// A replica that is further behind answers reports with old figures.
const MAX_REPLICATION_LAG: Duration = Duration::from_secs(30);
/// A job that failed so often in a row does not work.
const MAX_JOB_FAILURES: u64 = 5;

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The component's id.
    pub id: String,
    /// How it works.
    pub state: SystemState,
    /// Since when, if the component itself knows.
    pub since: Option<Timestamp>,
    /// What is wrong. Never the text of an error, which may hold an address or a secret.
    pub detail: Option<String>,
}

impl Finding {
    /// A component that works.
    pub fn ok(id: impl Into<String>) -> Self {
        Self { id: id.into(), state: SystemState::Ok, since: None, detail: None }
    }

    /// A component that works in part.
    pub fn degraded(id: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { state: SystemState::Degraded, detail: Some(detail.into()), ..Self::ok(id) }
    }

    /// A component that does not work.
    pub fn down(id: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { state: SystemState::Down, detail: Some(detail.into()), ..Self::ok(id) }
    }

    /// The same, since a known time.
    fn since(self, since: Option<Timestamp>) -> Self {
        Self { since, ..self }
    }
}

/// The database takes reads and writes.
pub async fn check_database(platform: &Platform) -> Finding {
    match platform.database.ensure_ready().await {
        Ok(()) => Finding::ok(DATABASE),
        Err(error) => Finding::down(DATABASE, public_text(&error)),
    }
}

/// The replica answers, and is not far behind.
pub async fn check_replica(platform: &Platform, instance: &Instance) -> Finding {
    let id = "replica";
    match timeout(CHECK_TIMEOUT, instance.replication_lag(platform)).await {
        Some(Ok(lag)) if lag > MAX_REPLICATION_LAG => {
            let detail = format!("It is {} seconds behind the database.", lag.as_secs());
            Finding::degraded(id, detail)
        }
        Some(Ok(_)) => Finding::ok(id),
        Some(Err(_)) | None => Finding::down(id, "It does not answer, and reports fail."),
    }
}

/// The id of Redis.
pub const REDIS: &str = "redis";

/// Redis carries events. None without Redis. While it is down, another attempt to connect does not make it better.
pub fn check_redis(platform: &Platform, before: Option<SystemState>) -> Option<Finding> {
    let link = *platform.events.redis_link()?.borrow();
    Some(match link {
        RedisLink::Connected => Finding::ok(REDIS),
        RedisLink::Connecting if before != Some(SystemState::Down) => {
            Finding::degraded(REDIS, "It is being connected to.")
        }
        RedisLink::Connecting | RedisLink::BackingOff(_) => {
            Finding::down(REDIS, "It cannot be reached: other instances hear of changes late.")
        }
    })
}

/// The file store answers and takes files.
pub async fn check_files(platform: &Platform) -> Finding {
    let id = "files";
    match timeout(CHECK_TIMEOUT, platform.files.ensure_available()).await {
        Some(Ok(())) => Finding::ok(id),
        Some(Err(_)) => Finding::down(id, "The store cannot be reached or written."),
        None => Finding::down(id, "The store does not answer."),
    }
}

/// An SMS gateway takes messages, by its circuit breaker.
pub fn check_gateway(gateway: &GatewayState) -> Finding {
    let id = gateway_id(gateway.name);
    let Some(error) = &gateway.last_error else { return Finding::ok(id) };
    match gateway.is_down {
        true => Finding::down(id, error).since(gateway.misconfigured_since),
        false => Finding::degraded(id, error),
    }
}

/// An SMS gateway whose state cannot be read.
pub fn unknown_gateway(name: &str) -> Finding {
    Finding::degraded(gateway_id(name), "Unknown, because the database does not answer.")
}

fn gateway_id(name: &str) -> String {
    format!("sms:{name}")
}

/// The provider of lookups answered this instance's last request.
pub fn check_lookup(lookup: &CachedLookup) -> Finding {
    let id = "lookup";
    let (provider, failure) = lookup.provider_state();
    match failure {
        None => Finding::ok(id),
        Some(failure) if failure.is_refusal => {
            let detail = format!("{provider} refuses its credentials, or the account is empty.");
            Finding::down(id, detail).since(Some(failure.since))
        }
        Some(failure) => {
            let detail = format!("{provider} did not answer the last lookup as it should.");
            Finding::degraded(id, detail).since(Some(failure.since))
        }
    }
}

/// The last run of a background job succeeded.
pub fn check_job(name: &str, stats: &JobStats) -> Finding {
    let id = format!("job:{name}");
    let Some(failures) = stats.current_failures() else { return Finding::ok(id) };
    let detail = describe_failures(&failures);
    let finding = match failures.count < MAX_JOB_FAILURES {
        true => Finding::degraded(id, detail),
        false => Finding::down(id, detail),
    };
    finding.since(Some(failures.since))
}

fn describe_failures(failures: &JobFailures) -> String {
    let runs = match failures.count {
        1 => "The last run failed".to_owned(),
        count => format!("The last {count} runs failed"),
    };
    match failures.last_code {
        Some(code) => format!("{runs}: {}. The log says why.", code.public_name()),
        None => format!("{runs}: it panicked. The log says why."),
    }
}

/// The text of an error that clients may read.
fn public_text(error: &Error) -> String {
    error.user_errors()[0].message.clone()
}
