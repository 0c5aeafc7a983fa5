//! Claims due messages for sending: lane by lane, within the gateway's rate and the free send slots.

use std::sync::Arc;

use super::build_sms::build_sms;
use super::circuit_breaker::{CircuitState, circuit_state};
use super::rate_reservation::reserve_rate;
use super::send_slots::SendSlots;
use super::timing::SEND_LEASE_DURATION;
use crate::error::Result;
use crate::messages::entity::messages::{Claimant, DueRange};
use crate::messages::entity::transitions::{self, Transition};
use crate::messages::entity::{gateways, messages};
use crate::messages::gateway::{FailureReason, OutboundSms, SmsGateway};
use crate::messages::{Kind, Message, Messages, Status};
use crate::platform::Platform;
use crate::platform::clock::Timestamp;
use crate::platform::database::Work;

/// A message that this instance has claimed: it is SENDING, with a lease.
pub struct ClaimedMessage {
    pub message: Message,
    pub gateway: Arc<dyn SmsGateway>,
    /// The SMS, or why its text cannot be decrypted.
    pub sms: Result<OutboundSms, FailureReason>,
}

/// Claims due messages while slots are free. Also returns when to claim again, if the rate or a circuit breaker limits
/// the claim.
pub async fn claim_due(
    messages: &Messages,
    platform: &Platform,
    tx: &Work,
    mut slots: SendSlots,
) -> Result<(Vec<ClaimedMessage>, Option<Timestamp>)> {
    let now = platform.now();
    let mut all_claimed = Vec::new();
    let mut next_at: Option<Timestamp> = None;
    for gateway in &messages.gateways {
        let row = gateways::find_or_insert(tx, gateway.name(), now).await?;
        match circuit_state(&row, now) {
            CircuitState::Open { until } => {
                next_at = Some(next_at.map_or(until, |next_at| next_at.min(until)));
            }
            CircuitState::HalfOpen => {
                if gateways::start_probe(tx, gateway.name(), now, SEND_LEASE_DURATION).await? {
                    let claimed =
                        claim_lanes(messages, platform, tx, gateway, &mut slots, 1).await?;
                    if claimed.is_empty() {
                        gateways::cancel_probe(tx, gateway.name(), now, SEND_LEASE_DURATION)
                            .await?;
                    }
                    all_claimed.extend(claimed);
                }
            }
            CircuitState::Closed => {
                let reservation = reserve_rate(messages, tx, &row, now).await?;
                next_at = reservation.next_at;
                let count = reservation.count;
                if count > 0 {
                    let claimed =
                        claim_lanes(messages, platform, tx, gateway, &mut slots, count).await?;
                    reservation.refund(tx, claimed.len()).await?;
                    all_claimed.extend(claimed);
                }
                break;
            }
        }
    }
    let to_sending = |claimed: &ClaimedMessage| {
        Transition::new(&claimed.message, Some(Status::Queued), Status::Sending, now)
    };
    transitions::record(tx, platform, all_claimed.iter().map(to_sending)).await?;
    Ok((all_claimed, next_at))
}

/// Claims up to `limit` messages for a gateway, codes first.
async fn claim_lanes(
    messages: &Messages,
    platform: &Platform,
    tx: &Work,
    gateway: &Arc<dyn SmsGateway>,
    slots: &mut SendSlots,
    limit: usize,
) -> Result<Vec<ClaimedMessage>> {
    let mut claimed = Vec::new();
    let names = messages.gateways.iter().map(|gateway| gateway.name());
    let other_gateways: Vec<&str> = names.filter(|name| *name != gateway.name()).collect();
    let claimant = Claimant {
        gateway: gateway.name(),
        other_gateways: &other_gateways,
        lease: SEND_LEASE_DURATION,
    };
    let now = platform.now();
    let lane_starts = messages.lane_starts.load(platform, tx).await?;
    for kind in Kind::LANES {
        let lane_limit = slots.free_for(kind).min(limit - claimed.len());
        if lane_limit == 0 {
            continue;
        }
        let due = DueRange { kind, from: lane_starts.lane_start(kind), until: now };
        let lane_limit = u64::try_from(lane_limit).unwrap_or(u64::MAX);
        for message in messages::claim(tx, due, lane_limit, claimant).await? {
            slots.occupy(kind);
            let sms = build_sms(platform, &message);
            claimed.push(ClaimedMessage { message, gateway: gateway.clone(), sms });
        }
    }
    Ok(claimed)
}
