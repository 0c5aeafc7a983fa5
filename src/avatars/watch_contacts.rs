//! Live view of the avatars of all of the viewer's contacts.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, try_unfold};
use futures_util::{FutureExt, Stream, StreamExt};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::entity::avatars as entity;
use super::watch::AvatarView;
use crate::contacts;
use crate::error::Result;
use crate::ids::UserId;
use crate::people;
use crate::platform::Platform;
use crate::platform::events::{Listener, SharedRead};
use crate::platform::phone::PhoneKey;
use crate::platform::response_memo::ResponseMemo;

/// How many numbers are read per query.
const BATCH_SIZE: usize = 1_000;

/// The discoverable person with a verified number, and their avatar. None: no such person.
type NumberState = Option<Arc<AvatarView>>;

/// Streams the avatar of each contact with a visible profile, then each change. The avatar of a contact that is added
/// or becomes visible is sent then; that of a removed contact is no longer sent.
pub fn watch_contact_avatars(
    platform: Arc<Platform>,
    viewer: UserId,
) -> impl Stream<Item = Result<Arc<AvatarView>>> + Send + use<> {
    let contact_changes = platform.events.listen(contacts::contacts_topic(viewer));
    let watch = Watch {
        platform,
        viewer,
        contact_changes,
        is_stale: true,
        numbers: HashMap::new(),
        changes: FuturesUnordered::new(),
        pending: VecDeque::new(),
    };
    try_unfold(watch, Watch::next)
}

struct Watch {
    platform: Arc<Platform>,
    viewer: UserId,
    contact_changes: Listener,
    /// Whether the contacts must be read again.
    is_stale: bool,
    numbers: HashMap<PhoneKey, WatchedNumber>,
    /// The next change of each number.
    changes: FuturesUnordered<BoxFuture<'static, Option<Change>>>,
    /// States that were read and not sent yet.
    pending: VecDeque<(PhoneKey, NumberState)>,
}

/// A number, the read that waits for its next change, and its new state.
type Change = (PhoneKey, SharedRead<NumberState>, Result<NumberState>);

/// A number that is watched until this is dropped.
struct WatchedNumber {
    watching: DropGuard,
    /// The user and version that were last sent.
    last_sent: Option<(UserId, i32)>,
}

impl Watch {
    async fn next(mut self) -> Result<Option<(Arc<AvatarView>, Self)>> {
        loop {
            if std::mem::take(&mut self.is_stale) {
                self.watch_numbers().await?;
            }
            while let Some((phone, state)) = self.pending.pop_front() {
                if let Some(view) = self.unsent_change(&phone, state) {
                    return Ok(Some((view, self)));
                }
            }
            tokio::select! {
                () = self.contact_changes.changed() => self.is_stale = true,
                Some(change) = self.changes.next(), if !self.changes.is_empty() => {
                    if let Some((phone, read, state)) = change {
                        self.pending.push_back((phone.clone(), state?));
                        self.wait_for_change(phone, read);
                    }
                }
            }
        }
    }

    /// The state, if it is newer than the last one sent for this number.
    fn unsent_change(&mut self, phone: &PhoneKey, state: NumberState) -> NumberState {
        let number = self.numbers.get_mut(phone)?;
        let current = state.as_ref().map(|view| (view.person.id, view.version()));
        let previous = std::mem::replace(&mut number.last_sent, current);
        let is_not_newer = |(sent_user, sent_version)| {
            current.is_some_and(|(user, version)| user == sent_user && version <= sent_version)
        };
        state.filter(|_| !previous.is_some_and(is_not_newer))
    }

    /// Watches the current contacts' numbers, and reads the states of new ones.
    async fn watch_numbers(&mut self) -> Result<()> {
        let numbers =
            contacts::list_phone_keys(self.platform.database.reads(), self.viewer).await?;
        let current: HashSet<&PhoneKey> = numbers.iter().collect();
        self.numbers.retain(|phone, _| current.contains(phone));
        let is_new = |phone: &PhoneKey| !self.numbers.contains_key(phone);
        let new: Vec<PhoneKey> = numbers.into_iter().filter(is_new).collect();
        // Watched before they are read, so that no change is missed in between.
        for phone in &new {
            let watching = CancellationToken::new().drop_guard();
            self.numbers.insert(phone.clone(), WatchedNumber { watching, last_sent: None });
            let topic = people::phone_topic(&self.platform, phone);
            let (platform, number) = (self.platform.clone(), phone.clone());
            let read = self.platform.events.follow(topic, (), move || {
                let (platform, number) = (platform.clone(), [number.clone()]);
                async move { read_view(&platform, &number).await }
            });
            self.wait_for_change(phone.clone(), read);
        }
        for phones in new.chunks(BATCH_SIZE) {
            let mut views = read_views(&self.platform, phones).await?;
            self.pending.extend(phones.iter().map(|phone| (phone.clone(), views.remove(phone))));
        }
        Ok(())
    }

    /// Waits for the next change of a number, unless it is no longer watched.
    fn wait_for_change(&mut self, phone: PhoneKey, mut read: SharedRead<NumberState>) {
        let Some(number) = self.numbers.get(&phone) else { return };
        let watching = number.watching.token().clone();
        let change = async move {
            let state = watching.run_until_cancelled(read.next()).await?;
            Some((phone, read, state))
        };
        self.changes.push(change.boxed());
    }
}

/// Reads the state of one number.
async fn read_view(platform: &Platform, phone: &[PhoneKey; 1]) -> Result<NumberState> {
    Ok(read_views(platform, phone).await?.into_values().next())
}

/// Reads the visible people with these numbers, and their avatars.
async fn read_views(
    platform: &Platform,
    phones: &[PhoneKey],
) -> Result<HashMap<PhoneKey, Arc<AvatarView>>> {
    let db = platform.database.reads();
    let people = people::find_discoverable(db, phones).await?;
    let ids: Vec<UserId> = people.iter().map(|person| person.id).collect();
    let rows = entity::find_all(db, &ids).await?.into_iter();
    let mut avatars: HashMap<UserId, _> = rows.map(|row| (row.user_id, row)).collect();
    let views = people.into_iter().filter_map(|person| {
        let (phone, avatar) = (person.phone_key.clone()?, avatars.remove(&person.id));
        Some((phone, Arc::new(AvatarView { person, avatar, memo: ResponseMemo::default() })))
    });
    Ok(views.collect())
}
