//! Watching the avatars of all of one's contacts, whoever they are at the time.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, try_unfold};
use futures_util::{FutureExt, Stream, StreamExt};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::entity::avatars as entity;
use super::watch::Seen;
use crate::contacts;
use crate::error::Result;
use crate::ids::UserId;
use crate::people;
use crate::platform::Platform;
use crate::platform::events::{Follower, Listener};
use crate::platform::memo::Memo;
use crate::platform::phone::PhoneKey;

/// How many numbers are read by one statement.
const AT_ONCE: usize = 1_000;

/// Who is seen by a number: nobody, unless somebody has proven it and lets others find them.
type State = Option<Arc<Seen>>;

/// The avatar of each contact with a visible profile, then each that is another. A contact that is added, or
/// becomes visible, is told like the first ones; one that is removed is not told any more.
pub fn watch_contacts(
    platform: Arc<Platform>,
    viewer: UserId,
) -> impl Stream<Item = Result<Arc<Seen>>> + Send + use<> {
    let of_contacts = platform.events.listen(contacts::topic(viewer));
    let watch = Watch {
        platform,
        viewer,
        of_contacts,
        is_stale: true,
        numbers: HashMap::new(),
        changes: FuturesUnordered::new(),
        read: VecDeque::new(),
    };
    try_unfold(watch, Watch::next)
}

struct Watch {
    platform: Arc<Platform>,
    viewer: UserId,
    of_contacts: Listener,
    /// Whether the contacts are to be read.
    is_stale: bool,
    numbers: HashMap<PhoneKey, Number>,
    /// The next change of each number.
    changes: FuturesUnordered<BoxFuture<'static, Option<Change>>>,
    /// What was read and not told yet.
    read: VecDeque<(PhoneKey, State)>,
}

/// What is seen by a number now, and who goes on following it.
type Change = (PhoneKey, Follower<State>, Result<State>);

/// A number that is listened to until this is dropped.
struct Number {
    listens: DropGuard,
    told: Option<(UserId, i32)>,
}

impl Watch {
    async fn next(mut self) -> Result<Option<(Arc<Seen>, Self)>> {
        loop {
            if std::mem::take(&mut self.is_stale) {
                self.follow().await?;
            }
            while let Some((phone, state)) = self.read.pop_front() {
                if let Some(seen) = self.news(&phone, state) {
                    return Ok(Some((seen, self)));
                }
            }
            tokio::select! {
                () = self.of_contacts.changed() => self.is_stale = true,
                Some(change) = self.changes.next(), if !self.changes.is_empty() => {
                    if let Some((phone, follower, state)) = change {
                        self.read.push_back((phone.clone(), state?));
                        self.wait(phone, follower);
                    }
                }
            }
        }
    }

    /// What is to be told of a number's state.
    fn news(&mut self, phone: &PhoneKey, state: State) -> State {
        let number = self.numbers.get_mut(phone)?;
        let now = state.as_ref().map(|seen| (seen.person.id, seen.version()));
        let before = std::mem::replace(&mut number.told, now);
        let is_older = |(user, version)| now.is_some_and(|now| now.0 == user && now.1 <= version);
        state.filter(|_| !before.is_some_and(is_older))
    }

    /// Listens to the numbers of the contacts as they are now.
    async fn follow(&mut self) -> Result<()> {
        let numbers = contacts::phone_keys_of(self.platform.database.reads(), self.viewer).await?;
        let now: HashSet<&PhoneKey> = numbers.iter().collect();
        self.numbers.retain(|phone, _| now.contains(phone));
        let new = |phone: &PhoneKey| !self.numbers.contains_key(phone);
        let new: Vec<PhoneKey> = numbers.into_iter().filter(new).collect();
        // Each is listened to before all are read, so no change falls between.
        for phone in &new {
            let listens = CancellationToken::new().drop_guard();
            self.numbers.insert(phone.clone(), Number { listens, told: None });
            let topic = people::number_topic(&self.platform, phone);
            let (platform, one) = (self.platform.clone(), phone.clone());
            let follower = self.platform.events.follow(topic, move || {
                let (platform, one) = (platform.clone(), [one.clone()]);
                async move { read_one(&platform, &one).await }
            });
            self.wait(phone.clone(), follower);
        }
        for phones in new.chunks(AT_ONCE) {
            let mut seen = read(&self.platform, phones).await?;
            self.read.extend(phones.iter().map(|phone| (phone.clone(), seen.remove(phone))));
        }
        Ok(())
    }

    /// Waits for the next change of a number, unless it is no longer a contact's.
    fn wait(&mut self, phone: PhoneKey, mut follower: Follower<State>) {
        let Some(number) = self.numbers.get(&phone) else { return };
        let listens = number.listens.token().clone();
        let change = async move {
            let state = listens.run_until_cancelled(follower.next()).await?;
            Some((phone, follower, state))
        };
        self.changes.push(change.boxed());
    }
}

/// Who is seen by one number.
async fn read_one(platform: &Platform, phone: &[PhoneKey; 1]) -> Result<State> {
    Ok(read(platform, phone).await?.into_values().next())
}

/// Who is seen by some numbers.
async fn read(platform: &Platform, phones: &[PhoneKey]) -> Result<HashMap<PhoneKey, Arc<Seen>>> {
    let db = platform.database.reads();
    let people = people::discoverable(db, phones).await?;
    let ids: Vec<UserId> = people.iter().map(|person| person.id).collect();
    let rows = entity::of_all(db, &ids).await?.into_iter();
    let mut avatars: HashMap<UserId, _> = rows.map(|row| (row.user_id, row)).collect();
    let seen = people.into_iter().filter_map(|person| {
        let (phone, avatar) = (person.phone_key.clone()?, avatars.remove(&person.id));
        Some((phone, Arc::new(Seen { person, avatar, shown: Memo::default() })))
    });
    Ok(seen.collect())
}
