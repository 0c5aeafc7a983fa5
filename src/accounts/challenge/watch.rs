//! Watching a challenge: a stream of its views, and the poll that finds changes without an event.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::Stream;
use futures_util::stream::try_unfold;
use uuid::Uuid;

use super::find::find_visible;
use super::last_states::ChallengeState;
use super::view::{ChallengeView, load_view};
use crate::accounts::Accounts;
use crate::accounts::entity::challenges;
use crate::error::Result;
use crate::ids::{MessageId, UserId};
use crate::messages::{load_statuses, message_topic};
use crate::platform::Platform;
use crate::platform::clock::Timestamp;
use crate::platform::events::Listener;

const TOPIC_PREFIX: &str = "challenge:";

/// How many challenges one query reads.
const BATCH_SIZE: usize = 1_000;

/// The topic of one challenge.
pub fn challenge_topic(id: Uuid) -> String {
    format!("{TOPIC_PREFIX}{id}")
}

/// Streams the view of a challenge: now, and each time the status of its SMS changes or another code is sent. Ends when
/// the code is used or expires.
///
/// # Errors
/// NOT_FOUND
pub async fn watch_challenge(
    platform: Arc<Platform>,
    viewer: Option<UserId>,
    id: String,
) -> Result<impl Stream<Item = Result<ChallengeView>> + Send + use<>> {
    let challenge = find_visible(&platform, viewer, &id).await?;
    let challenge_events = platform.events.listen(challenge_topic(challenge.id));
    let watch = Watch { platform, viewer, id, challenge_events, last_view: None };
    Ok(try_unfold(watch, Watch::next))
}

struct Watch {
    platform: Arc<Platform>,
    viewer: Option<UserId>,
    id: String,
    challenge_events: Listener,
    last_view: Option<ChallengeView>,
}

impl Watch {
    async fn next(mut self) -> Result<Option<(ChallengeView, Self)>> {
        loop {
            let challenge = find_visible(&self.platform, self.viewer, &self.id).await?;
            // Subscribe before reading, so that no change is missed.
            let mut message_events = challenge
                .message_id
                .map(|message| self.platform.events.listen(message_topic(message)));
            let is_final =
                challenge.consumed_at.is_some() || challenge.expires_at <= self.platform.now();
            let view = load_view(&self.platform, &challenge).await?;
            if self.last_view.as_ref() != Some(&view) {
                self.last_view = Some(view.clone());
                return Ok(Some((view, self)));
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
                () = self.platform.clock.sleep_until(challenge.expires_at) => {}
            }
        }
    }
}

/// Finds the watched challenges that changed without an event, and publishes their topics on this instance. Called each
/// second.
pub async fn publish_challenge_changes(
    accounts: &Accounts,
    platform: &Platform,
) -> Result<Option<Timestamp>> {
    let watched_ids = platform.events.topics_with_prefix(TOPIC_PREFIX);
    let ids: Vec<Uuid> = watched_ids.iter().filter_map(|id| id.parse().ok()).collect();
    if ids.is_empty() {
        accounts.challenge_states.clear();
        return Ok(None);
    }
    let db = platform.database.reads();
    let mut states = HashMap::new();
    for ids in ids.chunks(BATCH_SIZE) {
        let challenges = challenges::find_by_ids(db, ids).await?;
        let messages: Vec<MessageId> =
            challenges.iter().filter_map(|challenge| challenge.message_id).collect();
        let statuses = load_statuses(db, &messages).await?;
        states.extend(challenges.iter().map(|challenge| {
            let delivery = challenge.message_id.and_then(|message| statuses.get(&message).copied());
            let (send_count, consumed_at) = (challenge.send_count, challenge.consumed_at);
            (challenge.id, ChallengeState { send_count, consumed_at, delivery })
        }));
    }
    for id in accounts.challenge_states.replace(&ids, states) {
        platform.events.publish_local(&challenge_topic(id));
    }
    Ok(None)
}
