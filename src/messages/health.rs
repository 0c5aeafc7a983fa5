//! How a gateway does. One that fails rests, longer and longer, and is then tried with one message; one whose
//! configuration or account is wrong is stopped, loudly, and tried now and then all the same.

use std::time::Duration;

use super::Messages;
use super::entity::gateways;
use super::gateway::{Outcome, Reason};
use super::settle::Done;
use super::take::LEASE;
use crate::error::Result;
use crate::platform::Platform;
use crate::platform::clock::{Instant, is_ahead, is_waiting};
use crate::platform::database::Work;
use crate::platform::jobs::Backoff;

/// The longest that is kept of why something went wrong, in characters.
const LONGEST_TROUBLE: usize = 300;
/// How long a gateway rests.
const REST: Backoff = Backoff { first: Duration::from_secs(1), longest: Duration::from_mins(1) };
/// So many failures in a row are no longer the messages' own.
const DOWN: i32 = 3;

/// What may be sent through a gateway now.
#[derive(Debug, PartialEq, Eq)]
pub enum Health {
    /// Everything.
    Works,
    /// One message, to see.
    Tries,
    /// Nothing.
    Rests {
        /// Until then.
        until: Instant,
    },
}

/// What may be sent now.
pub fn of(gateway: &gateways::Model, now: Instant) -> Health {
    let Some(rests_until) = gateway.rests_until else { return Health::Works };
    // A rest that began in the future began before the clock was set back.
    let rest = Some(rests_until).filter(|_| !was_set_back(gateway, now));
    let trial = gateway.trying_until.filter(|until| is_waiting(now, *until, LEASE));
    match rest.max(trial) {
        Some(until) if until > now => Health::Rests { until },
        _ => Health::Tries,
    }
}

/// Whether the clock was set back since the gateway's last failure.
fn was_set_back(gateway: &gateways::Model, now: Instant) -> bool {
    gateway.troubled_at.is_some_and(|troubled_at| is_ahead(now, troubled_at))
}

/// Whether failures are no longer the messages' own.
pub fn is_down(gateway: &gateways::Model) -> bool {
    gateway.failures >= DOWN || gateway.stopped_since.is_some()
}

/// Has gateways that rest tried at once: at the start, when what was wrong may be right by now, and once the clock was
/// set back.
pub async fn start(room: &Messages, platform: &Platform) -> Result<()> {
    let names: Vec<&str> = room.gateways.iter().map(|gateway| gateway.name()).collect();
    let tx = platform.database.begin().await?;
    gateways::wake(&tx, &names, platform.now()).await?;
    tx.commit().await?;
    Ok(())
}

/// Learns from what became of some messages at one gateway.
pub async fn learn(
    room: &Messages,
    platform: &Platform,
    tx: &Work,
    name: &str,
    done: &[&Done],
) -> Result<gateways::Model> {
    let worked_at = worked_at(room, done, platform.now());
    let seen = gateways::named(tx, name, platform.now()).await?;
    if judge(platform, seen.clone(), worked_at, done) == seen {
        return Ok(seen);
    }
    // Others may have learnt something meanwhile.
    let seen = gateways::locked(tx, name, platform.now()).await?;
    let learnt = judge(platform, seen.clone(), worked_at, done);
    match (&learnt.trouble, learnt.stopped_since, seen.stopped_since) {
        (Some(trouble), Some(_), None) => tracing::error!(
            gateway = name,
            trouble,
            "the SMS gateway is stopped: its configuration or account is wrong; messages wait"
        ),
        (Some(trouble), None, _) => {
            tracing::warn!(gateway = name, trouble, "the SMS gateway is in trouble");
        }
        (None, _, _) if seen.trouble.is_some() => {
            tracing::info!(gateway = name, "the SMS gateway works again");
        }
        _ => {}
    }
    gateways::write(tx, learnt.clone()).await?;
    Ok(learnt)
}

/// When the newest message was handed over that this gateway has taken or refused, from this instance.
fn worked_at(room: &Messages, done: &[&Done], now: Instant) -> Option<Instant> {
    let well = |done: &&&Done| done.was_handed_over && says_it_works(&done.outcome);
    let newest = done.iter().filter(well).filter_map(|done| done.message.handed_over_at).max();
    let name = done.first()?.gateway.name();
    let mut all = room.worked_at.lock();
    let known = all.get(name).copied().filter(|known| !is_ahead(now, *known)).max(newest)?;
    all.insert(name, known);
    Some(known)
}

fn judge(
    platform: &Platform,
    seen: gateways::Model,
    worked_at: Option<Instant>,
    done: &[&Done],
) -> gateways::Model {
    let now = platform.now();
    // A gateway that took what came later has trouble with some messages, not with all.
    let is_alone = |done: &Done| {
        matches!(done.outcome, Outcome::Unclear { .. }) && done.message.handed_over_at < worked_at
    };
    let asked = done.iter().filter(|done| done.was_handed_over && !is_alone(done));
    let troubles =
        || asked.clone().filter_map(|done| Some((&done.outcome, trouble(&done.outcome)?)));
    let Some((_, last)) = troubles().next_back() else {
        let is_news = |done: &&&Done| {
            seen.troubled_at <= done.message.handed_over_at || was_set_back(&seen, now)
        };
        let works = asked.clone().filter(is_news).any(|done| says_it_works(&done.outcome));
        let healthy = gateways::Model {
            failures: 0,
            troubled_at: None,
            rests_until: None,
            trying_until: None,
            stopped_since: None,
            trouble: None,
            ..seen.clone()
        };
        return if works { healthy } else { seen };
    };
    let misconfigured =
        troubles().find(|(outcome, _)| matches!(outcome, Outcome::Misconfigured(_)));
    let concerns_all = troubles().any(|(outcome, _)| {
        matches!(
            outcome,
            Outcome::Misconfigured(_) | Outcome::NotNow { .. } | Outcome::OutOfReach(_)
        )
    });
    let patience = troubles().filter_map(|(outcome, _)| match outcome {
        Outcome::NotNow { after, .. } => *after,
        _ => None,
    });
    let patience = patience.max().unwrap_or_default();
    let more = match concerns_all {
        true => 1,
        false => i32::try_from(troubles().count()).unwrap_or(DOWN).min(DOWN),
    };
    let failures = seen.failures.saturating_add(more);
    // Who was resting has failed its trial.
    let rests = concerns_all || failures >= DOWN || seen.rests_until.is_some();
    let until = now + REST.delay(failures.unsigned_abs(), platform).max(patience);
    let why = misconfigured.map_or(last, |(_, reason)| reason);
    gateways::Model {
        failures,
        troubled_at: Some(now),
        // A later word does not shorten what an earlier one asked for.
        rests_until: rests.then(|| match seen.rests_until {
            Some(earlier) if !was_set_back(&seen, now) => earlier.max(until),
            _ => until,
        }),
        trying_until: None,
        stopped_since: seen.stopped_since.or(misconfigured.map(|_| now)),
        trouble: rests.then(|| text_of(why)),
        ..seen
    }
}

/// A gateway that refuses a message does its work.
fn says_it_works(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Accepted { .. } | Outcome::Refused(_))
}

/// What is not a message's own fault.
fn trouble(outcome: &Outcome) -> Option<&Reason> {
    match outcome {
        Outcome::Accepted { .. } | Outcome::Refused(_) => None,
        Outcome::NotNow { reason, .. }
        | Outcome::OutOfReach(reason)
        | Outcome::Misconfigured(reason)
        | Outcome::Unclear { reason, .. } => Some(reason),
    }
}

/// As an operator reads it: our words, then the gateway's code.
pub fn text_of(reason: &Reason) -> String {
    let text = match &reason.code {
        Some(code) => format!("{} ({code})", reason.text),
        None => reason.text.clone(),
    };
    // Some of it may be the gateway's own words.
    text.chars().filter(|c| !c.is_control()).take(LONGEST_TROUBLE).collect()
}
