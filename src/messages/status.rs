//! How far a message is, and which way it may go.

use sea_orm::entity::prelude::*;

/// What a message is about, which is also its lane: codes go before notices, notices before bonuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "i16", db_type = "SmallInteger")]
pub enum Kind {
    /// A code that somebody is waiting for.
    #[sea_orm(num_value = 0)]
    Code,
    /// Something that an account's owner must know.
    #[sea_orm(num_value = 1)]
    Notice,
    /// A bonus was paid.
    #[sea_orm(num_value = 2)]
    Bonus,
}

impl Kind {
    /// All of them, those first that go first.
    pub const LANES: [Self; 3] = [Self::Code, Self::Notice, Self::Bonus];

    /// Its place among the lanes.
    pub fn lane(self) -> usize {
        Self::LANES.iter().position(|lane| *lane == self).expect("every kind has its lane")
    }

    /// As the schema names it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Code => "CODE",
            Self::Notice => "NOTICE",
            Self::Bonus => "BONUS",
        }
    }
}

/// How far a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// Waits for its turn, or for its next attempt.
    Queued,
    /// Is being handed over.
    Sending,
    /// Was handed over, and it is not known whether the gateway took it.
    Unknown,
    /// The gateway has it.
    Sent,
    /// Was withdrawn before it was sent.
    Cancelled,
    /// Its time was over before it was sent.
    Expired,
    /// Was refused, or tried too often.
    Failed,
    /// The gateway could not bring it to the phone.
    Undelivered,
    /// Arrived.
    Delivered,
}

impl Status {
    /// Every status, in the order in which news may move a message.
    pub const FORWARD: [Self; 9] = [
        Self::Queued,
        Self::Sending,
        Self::Unknown,
        Self::Sent,
        Self::Cancelled,
        Self::Expired,
        Self::Failed,
        Self::Undelivered,
        Self::Delivered,
    ];

    /// Those from which news of this status moves a message. As there is one order, it is the same
    /// in which order the news come, and how often.
    pub fn before(self) -> impl Iterator<Item = Self> {
        Self::FORWARD.into_iter().take_while(move |status| *status != self)
    }

    /// Whether an operator may have it sent again.
    pub fn may_be_retried(self) -> bool {
        matches!(self, Self::Failed | Self::Undelivered | Self::Unknown)
    }

    /// Whether nothing more is done for it.
    pub fn is_over(self) -> bool {
        !matches!(self, Self::Queued | Self::Sending | Self::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    fn after(news: &[Status]) -> Status {
        let step = |now: Status, news: &Status| match news.before().any(|before| before == now) {
            true => *news,
            false => now,
        };
        news.iter().fold(Status::Queued, step)
    }

    proptest! {
        #[test]
        fn news_end_at_the_same_status_in_whatever_order_and_however_often(
            (news, shuffled) in proptest::collection::vec(select(Status::FORWARD.to_vec()), 0..12)
                .prop_flat_map(|news| (Just(news.clone()), Just(news).prop_shuffle())),
        ) {
            prop_assert_eq!(after(&news), after(&shuffled));
            prop_assert_eq!(after(&[&news[..], &shuffled[..]].concat()), after(&news));
        }
    }
}
