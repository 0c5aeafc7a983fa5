//! Reservation of a gateway's send rate (SMS_RATE_PER_SECOND), which all instances share.

use std::time::Duration;

use crate::error::Result;
use crate::messages::Messages;
use crate::messages::entity::gateways;
use crate::platform::clock::{Timestamp, is_waiting};
use crate::platform::database::Work;

/// The rate is reserved for this long at a time. Unused rate of this long can still be used.
const PACING_WINDOW: Duration = Duration::from_millis(50);

/// A reserved share of the rate.
pub struct RateReservation {
    /// How many messages may be sent.
    pub count: usize,
    /// When the next share can be reserved.
    pub next_at: Option<Timestamp>,
    reserved: Option<Reserved>,
}

/// The data for a refund.
struct Reserved {
    /// The gateway's row with the reservation in it.
    gateway: gateways::Model,
    starts_at: Timestamp,
    /// The time between two messages.
    spacing: Duration,
}

/// Reserves a share of the rate before messages are claimed, so that two instances never use the same share.
pub async fn reserve_rate(
    messages: &Messages,
    tx: &Work,
    gateway: &gateways::Model,
    now: Timestamp,
) -> Result<RateReservation> {
    let Some(rate) = messages.settings.rate_per_second else {
        return Ok(RateReservation { count: usize::MAX, next_at: None, reserved: None });
    };
    let none_until = |next_at| RateReservation { count: 0, next_at: Some(next_at), reserved: None };
    let spacing = Duration::from_secs(1) / rate;
    if is_waiting(now, gateway.next_send_at, spacing.max(PACING_WINDOW)) {
        return Ok(none_until(gateway.next_send_at));
    }
    let count = (PACING_WINDOW.as_nanos() / spacing.as_nanos()).max(1);
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    let starts_at = gateway.next_send_at.clamp(now - PACING_WINDOW, now);
    let next_send_at = starts_at + spacing * count;
    if !gateways::set_next_send_at(tx, gateway, next_send_at).await? {
        return Ok(none_until(now + PACING_WINDOW));
    }
    let gateway = gateways::Model { next_send_at, ..gateway.clone() };
    Ok(RateReservation {
        count: usize::try_from(count).unwrap_or(usize::MAX),
        next_at: Some(now + PACING_WINDOW),
        reserved: Some(Reserved { gateway, starts_at, spacing }),
    })
}

impl RateReservation {
    /// Refunds the unused part.
    pub async fn refund(self, tx: &Work, used: usize) -> Result<()> {
        if let Some(Reserved { gateway, starts_at, spacing }) = self.reserved
            && used < self.count
        {
            let used = u32::try_from(used).unwrap_or(u32::MAX);
            gateways::set_next_send_at(tx, &gateway, starts_at + spacing * used).await?;
        }
        Ok(())
    }
}
