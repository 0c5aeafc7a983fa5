//! Typed ids: a prefix that says what it is, and a UUIDv7 in lower-case base32. Opaque to clients.

use data_encoding::BASE32_DNSSEC;
use uuid::Uuid;

/// An id of one kind of thing.
pub trait Id: Copy + From<Uuid> {
    /// What it starts with, without the underscore.
    const PREFIX: &'static str;

    /// The UUID that the database keeps.
    fn uuid(self) -> Uuid;
}

macro_rules! typed_ids {
    ($($(#[$doc:meta])+ $name:ident $prefix:literal)*) => {$(
        $(#[$doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, sea_orm::DeriveValueType)]
        pub struct $name(Uuid);

        impl Id for $name {
            const PREFIX: &'static str = $prefix;

            fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}_{}", $prefix, BASE32_DNSSEC.encode(self.0.as_bytes()))
            }
        }

        impl sea_orm::TryFromU64 for $name {
            fn try_from_u64(_: u64) -> Result<Self, sea_orm::DbErr> {
                Err(sea_orm::DbErr::ConvertFromU64(stringify!($name)))
            }
        }
    )*};
}

typed_ids! {
    /// A user.
    UserId "usr"
    /// A session: one login of one user.
    SessionId "ses"
    /// An entry of somebody's contact list.
    ContactId "cnt"
    /// An SMS.
    MessageId "msg"
    /// A round of a game.
    RoundId "rnd"
    /// A movement of coins.
    CoinEntryId "coe"
}

/// Where a token stands among those of its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rotation {
    /// How many times the session had been refreshed: 0 for the tokens of a login.
    pub generation: i32,
    /// Which of the successors of one refresh token it is, or came with: 0 for the first.
    pub issue: i32,
}

/// Reads an id of the kind asked for. A wrong prefix and rubbish are both `None`: whoever asks
/// answers "not found", as for an id that nothing has.
pub fn parse<T: Id>(text: &str) -> Option<T> {
    let encoded = text.strip_prefix(T::PREFIX)?.strip_prefix('_')?;
    let bytes = BASE32_DNSSEC.decode(encoded.as_bytes()).ok()?;
    Some(Uuid::from_slice(&bytes).ok()?.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_and_only_as_its_own_kind() {
        let id = UserId::from(Uuid::from_u128(7));
        assert_eq!(parse::<UserId>(&id.to_string()), Some(id));
        assert_eq!(parse::<SessionId>(&id.to_string()), None);
        for rubbish in ["", "usr_", "usr", "usr_zzzz", &format!("{id}0"), "ses_\u{0}"] {
            assert_eq!(parse::<UserId>(rubbish), None, "{rubbish}");
        }
    }
}
