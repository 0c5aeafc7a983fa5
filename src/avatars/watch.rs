//! Live view of one person's avatar while the viewer may see it.

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
use crate::platform::events::{Listener, SharedRead};
use crate::platform::response_memo::ResponseMemo;

/// A person and their avatar, as of one read.
#[derive(Debug)]
pub struct AvatarView {
    /// The person.
    pub person: Person,
    /// The avatar. None: there never was one.
    pub avatar: Option<Model>,
    /// The responses resolved from this view.
    pub memo: ResponseMemo,
}

impl AvatarView {
    /// The number of changes of the avatar.
    pub fn version(&self) -> i32 {
        self.avatar.as_ref().map_or(0, |avatar| avatar.version)
    }

    async fn read(platform: &Platform, user: UserId) -> Result<Arc<Self>> {
        let db = platform.database.reads();
        let person = people::get(db, user).await?;
        let avatar = entity::find(db, user).await?;
        Ok(Arc::new(Self { person, avatar, memo: ResponseMemo::default() }))
    }
}

/// Streams the current avatar of a user, then each change. The user is the viewer, or a visible person whose number is
/// among the viewer's contacts. Ends with NOT_FOUND when the viewer may no longer see it.
pub fn watch_avatar(
    platform: Arc<Platform>,
    viewer: UserId,
    user: UserId,
) -> impl Stream<Item = Result<Arc<AvatarView>>> + Send + use<> {
    // Watchers of the same person share the read. The permission is checked for each of them.
    let reader_platform = platform.clone();
    let person_reads = platform.events.follow(people::profile_topic(user), (), move || {
        let platform = reader_platform.clone();
        async move { AvatarView::read(&platform, user).await }
    });
    let permission = (viewer != user).then(|| ViewPermission {
        contact_changes: platform.events.listen(contacts::contacts_topic(viewer)),
        is_current: false,
    });
    try_unfold(
        Watch { platform, viewer, person_reads, permission, latest: None, last_sent: None },
        Watch::next,
    )
}

struct Watch {
    platform: Arc<Platform>,
    viewer: UserId,
    person_reads: SharedRead<Arc<AvatarView>>,
    /// None: the avatar is the viewer's own.
    permission: Option<ViewPermission>,
    /// The latest read.
    latest: Option<Arc<AvatarView>>,
    /// The version that was last sent.
    last_sent: Option<i32>,
}

/// The permission to see another person's avatar.
struct ViewPermission {
    contact_changes: Listener,
    /// Whether the contacts are unchanged since the permission was checked.
    is_current: bool,
}

impl Watch {
    async fn next(mut self) -> Result<Option<(Arc<AvatarView>, Self)>> {
        loop {
            let read = match self.latest.take() {
                Some(view) => self.next_change(view).await,
                None => self.person_reads.read_once().await,
            };
            let view = match read {
                // The viewer's own account is deleted. The end of the session ends the stream, with a clearer reason.
                Err(error) if self.permission.is_none() && error.code() == ErrorCode::NotFound => {
                    pending().await
                }
                read => read?,
            };
            self.latest = Some(view.clone());
            self.check_permission(&view).await?;
            if self.last_sent.is_none_or(|version| version < view.version()) {
                self.last_sent = Some(view.version());
                return Ok(Some((view, self)));
            }
        }
    }

    /// Waits for a change of the person or of the contacts.
    async fn next_change(&mut self, view: Arc<AvatarView>) -> Result<Arc<AvatarView>> {
        let contacts_changed = async {
            match &mut self.permission {
                Some(permission) => {
                    permission.contact_changes.changed().await;
                    permission.is_current = false;
                }
                None => pending().await,
            }
        };
        // Contacts first: a viewer who lost the permission must not see later changes.
        tokio::select! {
            biased;
            () = contacts_changed => Ok(view),
            view = self.person_reads.next() => view,
        }
    }

    async fn check_permission(&mut self, view: &AvatarView) -> Result<()> {
        let Some(permission) = &mut self.permission else { return Ok(()) };
        let is_visible = match &view.person.phone_key {
            Some(phone) if view.person.is_visible() => {
                // Marked before the read, so that a change during it is noticed next.
                let was_current = std::mem::replace(&mut permission.is_current, true);
                let db = self.platform.database.reads();
                // Boxed so that its memory is freed before the long wait of thousands of watchers.
                was_current || contacts::has_phone(db, self.viewer, phone).boxed().await?
            }
            _ => false,
        };
        if is_visible { Ok(()) } else { Err(Error::not_found("user")) }
    }
}
