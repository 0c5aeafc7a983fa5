//! Watching the avatar of one person, as long as one may.

use std::future::pending;
use std::sync::Arc;

use futures_util::stream::try_unfold;
use futures_util::{FutureExt, Stream};

use super::entity::avatars::{self as entity, Model};
use crate::contacts;
use crate::error::{Error, ErrorCode, Result};
use crate::ids::UserId;
use crate::people::{self, Person};
use crate::platform::Platform;
use crate::platform::events::{Follower, Listener};
use crate::platform::memo::Memo;

/// Somebody as they were seen, with their avatar.
#[derive(Debug)]
pub struct Seen {
    /// Who it is.
    pub person: Person,
    /// Their avatar. None: they never had one.
    pub avatar: Option<Model>,
    /// What was shown of it.
    pub shown: Memo,
}

impl Seen {
    /// How often the avatar changed.
    pub fn version(&self) -> i32 {
        self.avatar.as_ref().map_or(0, |avatar| avatar.version)
    }

    async fn read(platform: &Platform, user: UserId) -> Result<Arc<Self>> {
        let db = platform.database.reads();
        let person = people::get(db, user).await?;
        let avatar = entity::of(db, user).await?;
        Ok(Arc::new(Self { person, avatar, shown: Memo::default() }))
    }
}

/// Somebody's avatar now, and each time it is another: one's own, or that of a visible person whose number is
/// among one's contacts. Ends with NOT_FOUND when that is no longer so.
pub fn watch(
    platform: Arc<Platform>,
    viewer: UserId,
    user: UserId,
) -> impl Stream<Item = Result<Arc<Seen>>> + Send + use<> {
    // The same for all who watch, so that they share a reading; what one may see is looked at for each.
    let reading = platform.clone();
    let of_person = platform.events.follow(people::topic(user), move || {
        let platform = reading.clone();
        async move { Seen::read(&platform, user).await }
    });
    let right = (viewer != user).then(|| Right {
        of_contacts: platform.events.listen(contacts::topic(viewer)),
        is_checked: false,
    });
    try_unfold(Watch { platform, viewer, of_person, right, seen: None, told: None }, Watch::next)
}

struct Watch {
    platform: Arc<Platform>,
    viewer: UserId,
    of_person: Follower<Arc<Seen>>,
    /// None: it is one's own.
    right: Option<Right>,
    /// The newest reading.
    seen: Option<Arc<Seen>>,
    told: Option<i32>,
}

struct Right {
    of_contacts: Listener,
    /// Whether the contacts are as they were when they were looked at.
    is_checked: bool,
}

impl Watch {
    async fn next(mut self) -> Result<Option<(Arc<Seen>, Self)>> {
        loop {
            let read = match self.seen.take() {
                Some(seen) => self.changed(seen).await,
                None => self.of_person.first().await,
            };
            let seen = match read {
                // One's own account is gone. Its session is, too, and the end of that says so.
                Err(error) if self.right.is_none() && error.code() == ErrorCode::NotFound => {
                    pending().await
                }
                read => read?,
            };
            self.seen = Some(seen.clone());
            self.check(&seen).await?;
            if self.told.is_none_or(|told| told < seen.version()) {
                self.told = Some(seen.version());
                return Ok(Some((seen, self)));
            }
        }
    }

    /// Waits for a change of the person or of the contacts.
    async fn changed(&mut self, seen: Arc<Seen>) -> Result<Arc<Seen>> {
        let of_contacts = async {
            match &mut self.right {
                Some(right) => {
                    right.of_contacts.changed().await;
                    right.is_checked = false;
                }
                None => pending().await,
            }
        };
        // The contacts first: who has lost the right is not told of what changed since.
        tokio::select! {
            biased;
            () = of_contacts => Ok(seen),
            seen = self.of_person.next() => seen,
        }
    }

    async fn check(&mut self, seen: &Seen) -> Result<()> {
        let Some(right) = &mut self.right else { return Ok(()) };
        let is_visible = match &seen.person.phone_key {
            Some(phone) if seen.person.is_visible() => {
                // Marked before it is read: a change meanwhile is heard of next.
                let was_checked = std::mem::replace(&mut right.is_checked, true);
                let db = self.platform.database.reads();
                // In a box, which is gone when it is done: thousands wait for the next change.
                was_checked || contacts::has_phone(db, self.viewer, phone).boxed().await?
            }
            _ => false,
        };
        if is_visible { Ok(()) } else { Err(Error::not_found("user")) }
    }
}
