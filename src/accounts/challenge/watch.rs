//! Watching a challenge: a stream of its states, and the poll that finds changes without an event.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::Stream;
use futures_util::stream::try_unfold;
use uuid::Uuid;

use super::find::{find_visible, load_challenge};
use super::last_states::ChallengeState;
use super::view::Challenge;
use crate::accounts::Accounts;
use crate::accounts::entity::challenges;
use crate::error::Result;
use crate::ids::{MessageId, UserId};
use crate::messages::{load_statuses, message_topic};
use crate::platform::Platform;
use crate::platform::clock::Timestamp;
use crate::platform::events::Listener;

const TOPIC_PREFIX: &str = "challenge:";

/// How many challenges one statement reads.
const BATCH_SIZE: usize = 1_000;

/// The topic of one challenge.
pub fn topic(id: Uuid) -> String {
    format!("{TOPIC_PREFIX}{id}")
}

/// A challenge now, and again each time the status of its SMS changes or another code is sent. Ends when the
/// code is used or expires.
///
/// # Errors
/// NOT_FOUND; UNAUTHENTICATED.
pub async fn watch(
    platform: Arc<Platform>,
    viewer: Option<UserId>,
    id: String,
) -> Result<impl Stream<Item = Result<Challenge>> + Send + use<>> {
    let row_id = find_visible(&platform, viewer, &id).await?.id;
    let challenge_events = platform.events.listen(topic(row_id));
    let watch = Watch { platform, viewer, id, challenge_events, last: None };
    Ok(try_unfold(watch, Watch::next))
}

struct Watch {
    platform: Arc<Platform>,
    viewer: Option<UserId>,
    id: String,
    challenge_events: Listener,
    last: Option<Challenge>,
}

impl Watch {
    async fn next(mut self) -> Result<Option<(Challenge, Self)>> {
        loop {
            let row = find_visible(&self.platform, self.viewer, &self.id).await?;
            // Subscribe before reading, so that no change is missed.
            let mut message_events =
                row.message_id.map(|message| self.platform.events.listen(message_topic(message)));
            let is_final = row.consumed_at.is_some() || row.expires_at <= self.platform.now();
            let challenge = load_challenge(&self.platform, &row).await?;
            if self.last.as_ref() != Some(&challenge) {
                self.last = Some(challenge.clone());
                return Ok(Some((challenge, self)));
            }
            if is_final {
                return Ok(None);
            }
            let message_events = async {
                match &mut message_events {
                    Some(listener) => listener.changed().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = message_events => {}
                () = self.challenge_events.changed() => {}
                () = self.platform.clock.sleep_until(row.expires_at) => {}
            }
        }
    }
}

/// Notifies the watchers on this instance of challenges that changed without an event. Called each second.
pub async fn notify_code_watchers(
    accounts: &Accounts,
    platform: &Platform,
) -> Result<Option<Timestamp>> {
    let watched = platform.events.topics_with_prefix(TOPIC_PREFIX);
    let ids: Vec<Uuid> = watched.iter().filter_map(|id| id.parse().ok()).collect();
    if ids.is_empty() {
        accounts.challenge_states.clear();
        return Ok(None);
    }
    let db = platform.database.reads();
    let mut states = HashMap::new();
    for ids in ids.chunks(BATCH_SIZE) {
        let rows = challenges::by_ids(db, ids).await?;
        let messages: Vec<MessageId> = rows.iter().filter_map(|row| row.message_id).collect();
        let statuses = load_statuses(db, &messages).await?;
        states.extend(rows.iter().map(|row| {
            let delivery = row.message_id.and_then(|message| statuses.get(&message).copied());
            let (send_count, consumed_at) = (row.send_count, row.consumed_at);
            (row.id, ChallengeState { send_count, consumed_at, delivery })
        }));
    }
    for id in accounts.challenge_states.replace(ids, states) {
        platform.events.publish_local(&topic(id));
    }
    Ok(None)
}
