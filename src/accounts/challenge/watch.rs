//! Looking at a challenge: how far its SMS got, now and as it goes on.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::Stream;
use futures_util::stream::try_unfold;
use sea_orm::ConnectionTrait;
use uuid::Uuid;

use super::{Challenge, Purpose, read_id};
use crate::accounts::Accounts;
use crate::accounts::entity::challenges::{self, Model};
use crate::error::{Error, Result};
use crate::ids::{MessageId, UserId};
use crate::messages::{Status, deliveries, delivery_topic};
use crate::people;
use crate::platform::Platform;
use crate::platform::clock::Instant;
use crate::platform::phone::PhoneNumber;

/// What the topics of challenges begin with.
const TOPIC: &str = "challenge:";

/// How many are looked at by one statement.
const AT_ONCE: usize = 1_000;

/// How far the challenges are that somebody watches, as it was last told.
pub type Told = HashMap<Uuid, (i32, Option<Instant>, Option<Status>)>;

/// The topic of one challenge.
pub fn topic(id: Uuid) -> String {
    format!("{TOPIC}{id}")
}

/// The challenge of an id, for somebody who may see it: whoever has the id, when nobody was signed in as it
/// began; else its owner.
///
/// # Errors
/// NOT_FOUND; UNAUTHENTICATED when it is somebody's and nobody is signed in.
pub async fn visible(platform: &Platform, viewer: Option<UserId>, id: &str) -> Result<Model> {
    let not_found = || Error::not_found("challenge");
    let id = read_id(platform, id).ok_or_else(not_found)?;
    let row = challenges::by_id(platform.database.reads(), id).await?.ok_or_else(not_found)?;
    if matches!(row.purpose, Purpose::Login | Purpose::ResetPassword) {
        return Ok(row);
    }
    match viewer {
        None => Err(Error::unauthenticated("Sign in first.")),
        Some(viewer) if row.user_id == Some(viewer) => Ok(row),
        Some(_) => Err(not_found()),
    }
}

/// A challenge as it is shown.
///
/// # Errors
/// NOT_FOUND; UNAUTHENTICATED.
pub async fn find(platform: &Platform, viewer: Option<UserId>, id: &str) -> Result<Challenge> {
    show(platform, &visible(platform, viewer, id).await?).await
}

async fn show(platform: &Platform, row: &Model) -> Result<Challenge> {
    let db = platform.database.reads();
    let person = match row.user_id.filter(|_| row.purpose != Purpose::ResetPassword) {
        Some(user) => people::by_id(db, user).await?,
        None => None,
    };
    view(platform, db, row, person.and_then(|person| person.phone).as_ref()).await
}

/// A challenge as it is shown.
pub async fn view(
    platform: &Platform,
    db: &impl ConnectionTrait,
    row: &Model,
    phone: Option<&PhoneNumber>,
) -> Result<Challenge> {
    let status = match row.message_id.filter(|_| row.purpose != Purpose::ResetPassword) {
        Some(message) => deliveries(db, &[message]).await?.get(&message).copied(),
        None => None,
    };
    Ok(Challenge::of(platform, row, phone, status))
}

/// A challenge now, and each time its SMS got further or another was sent. Ends when it is answered, or its
/// time is over.
///
/// # Errors
/// NOT_FOUND; UNAUTHENTICATED.
pub async fn watch(
    platform: Arc<Platform>,
    viewer: Option<UserId>,
    id: String,
) -> Result<impl Stream<Item = Result<Challenge>> + Send + use<>> {
    let id_of_row = visible(&platform, viewer, &id).await?.id;
    let of_challenge = platform.events.listen(topic(id_of_row));
    let start = Watch { platform, viewer, id, of_challenge, last: None };
    Ok(try_unfold(start, Watch::next))
}

struct Watch {
    platform: Arc<Platform>,
    viewer: Option<UserId>,
    id: String,
    of_challenge: crate::platform::events::Listener,
    last: Option<Challenge>,
}

impl Watch {
    async fn next(mut self) -> Result<Option<(Challenge, Self)>> {
        loop {
            let row = visible(&self.platform, self.viewer, &self.id).await?;
            // Listened to before it is read.
            let mut of_message =
                row.message_id.map(|message| self.platform.events.listen(delivery_topic(message)));
            let is_over = row.answered_at.is_some() || row.expires_at <= self.platform.now();
            let challenge = show(&self.platform, &row).await?;
            if self.last.as_ref() != Some(&challenge) {
                self.last = Some(challenge.clone());
                return Ok(Some((challenge, self)));
            }
            if is_over {
                return Ok(None);
            }
            let of_message = async {
                match &mut of_message {
                    Some(listener) => listener.changed().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = of_message => {}
                () = self.of_challenge.changed() => {}
                () = self.platform.clock.sleep_until(row.expires_at) => {}
            }
        }
    }
}

/// Tells those who watch challenges what was done to them and not told. Called each second.
///
/// # Errors
/// Those of the database.
pub async fn tell_codes(accounts: &Accounts, platform: &Platform) -> Result<Option<Instant>> {
    let watched = platform.events.listened_to(TOPIC);
    let ids: Vec<Uuid> = watched.iter().filter_map(|id| id.parse().ok()).collect();
    if ids.is_empty() {
        accounts.told_codes.lock().clear();
        return Ok(None);
    }
    let db = platform.database.reads();
    let mut now = Told::default();
    for ids in ids.chunks(AT_ONCE) {
        let rows = challenges::by_ids(db, ids).await?;
        let of_messages: Vec<MessageId> = rows.iter().filter_map(|row| row.message_id).collect();
        let statuses = deliveries(db, &of_messages).await?;
        now.extend(rows.iter().map(|row| {
            let status = row.message_id.and_then(|message| statuses.get(&message).copied());
            (row.id, (row.sends, row.answered_at, status))
        }));
    }
    let before = std::mem::replace(&mut *accounts.told_codes.lock(), now.clone());
    for id in ids {
        if before.get(&id) != now.get(&id) {
            platform.events.publish_here(&topic(id));
        }
    }
    Ok(None)
}
