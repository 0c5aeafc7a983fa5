//! Kinds (lanes) and statuses of messages, and the order of the statuses.

use sea_orm::entity::prelude::*;

/// The kind of a message, which is also its lane: codes go before notices, notices before bonuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "i16", db_type = "SmallInteger")]
pub enum Kind {
    /// A code, for which a user is waiting.
    #[sea_orm(num_value = 0)]
    Code,
    /// A notice about the security of an account.
    #[sea_orm(num_value = 1)]
    Notice,
    /// News about a bonus.
    #[sea_orm(num_value = 2)]
    Bonus,
}

impl Kind {
    /// All lanes, the highest priority first.
    pub const LANES: [Self; 3] = [Self::Code, Self::Notice, Self::Bonus];

    /// The position in [`Self::LANES`].
    pub fn lane_index(self) -> usize {
        Self::LANES.iter().position(|lane| *lane == self).expect("every kind has its lane")
    }

    /// The name in the schema.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Code => "CODE",
            Self::Notice => "NOTICE",
            Self::Bonus => "BONUS",
        }
    }
}

/// The status of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// Waits for its first or next attempt.
    Queued,
    /// Is being sent to a gateway.
    Sending,
    /// Was sent, but it is not known whether the gateway accepted it.
    Unknown,
    /// Was accepted by the gateway.
    Sent,
    /// Was cancelled before it was sent.
    Cancelled,
    /// Expired before it was sent.
    Expired,
    /// Was refused by the gateway, or all attempts failed.
    Failed,
    /// Was accepted by the gateway, but not delivered to the phone.
    Undelivered,
    /// Was delivered to the phone.
    Delivered,
}

impl Status {
    /// All statuses in order. An update moves a message only forward.
    pub const PRECEDENCE: [Self; 9] = [
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

    /// The statuses that an update to this status may replace. As all statuses have one order, updates may arrive in
    /// any order and repeatedly.
    pub fn predecessors(self) -> impl Iterator<Item = Self> {
        Self::PRECEDENCE.into_iter().take_while(move |status| *status != self)
    }

    /// Whether an operator may retry the message.
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::Failed | Self::Undelivered | Self::Unknown)
    }

    /// Whether statistics count the message.
    pub fn is_counted(self) -> bool {
        !matches!(self, Self::Queued | Self::Sending)
    }

    /// Whether no attempt follows, unless an operator retries the message.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Queued | Self::Sending | Self::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    fn status_after(updates: &[Status]) -> Status {
        let apply = |status: Status, update: &Status| match update
            .predecessors()
            .any(|predecessor| predecessor == status)
        {
            true => *update,
            false => status,
        };
        updates.iter().fold(Status::Queued, apply)
    }

    proptest! {
        #[test]
        fn order_and_number_of_updates_do_not_matter(
            (updates, shuffled) in proptest::collection::vec(select(Status::PRECEDENCE.to_vec()), 0..12)
                .prop_flat_map(|updates| (Just(updates.clone()), Just(updates).prop_shuffle())),
        ) {
            prop_assert_eq!(status_after(&updates), status_after(&shuffled));
            let repeated = [&updates[..], &shuffled[..]].concat();
            prop_assert_eq!(status_after(&repeated), status_after(&updates));
        }
    }
}
