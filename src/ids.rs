//! Typed ids: a prefix that names the type, and a UUIDv7 in lower-case base32. Opaque to clients. Ids that open something
//! for whoever has them are 128 random bits instead.

use data_encoding::BASE32_DNSSEC;
use uuid::Uuid;

/// An id of one type of object.
pub trait Id: Copy + From<Uuid> {
    /// The prefix, without the underscore.
    const PREFIX: &'static str;

    /// The UUID that the database stores.
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
    /// A session: one sign-in of one user.
    SessionId "ses"
    /// An entry of a user's contact list.
    ContactId "cnt"
    /// An SMS.
    MessageId "msg"
    /// A round of a game.
    RoundId "rnd"
    /// An entry of the coin ledger.
    CoinEntryId "coe"
    /// A campaign.
    CampaignId "cmp"
    /// An import of bonuses.
    BonusImportId "imp"
    /// An API connection. 128 random bits.
    ConnectionId "cxn"
    /// An entry of a connection's call log.
    ConnectionCallId "cll"
    /// A mapping. 128 random bits: whoever has the id may use it.
    MappingId "map"
}

/// The version of a token within its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TokenVersion {
    /// The number of refreshes before this token: 0 for the tokens of a sign-in.
    pub generation: i32,
    /// The index among the tokens that one refresh token was exchanged for: 0 for the first.
    pub issue: i32,
}

/// Parses an id of type `T`. `None` for a wrong prefix or an invalid id; callers treat it as "not found", like an
/// unused id.
pub fn parse<T: Id>(text: &str) -> Option<T> {
    let encoded = text.strip_prefix(T::PREFIX)?.strip_prefix('_')?;
    let bytes = BASE32_DNSSEC.decode(encoded.as_bytes()).ok()?;
    Some(Uuid::from_slice(&bytes).ok()?.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_parse_back_only_as_their_own_type() {
        let id = UserId::from(Uuid::from_u128(7));
        assert_eq!(parse::<UserId>(&id.to_string()), Some(id));
        assert_eq!(parse::<SessionId>(&id.to_string()), None);
        for invalid in ["", "usr_", "usr", "usr_zzzz", &format!("{id}0"), "ses_\u{0}"] {
            assert_eq!(parse::<UserId>(invalid), None, "{invalid}");
        }
    }
}
