//! Hand-over of queued messages to SMS gateways: claims due messages, sends them, records the outcomes, and reconciles
//! those whose outcome is not known.

pub mod attempt;
pub mod circuit_breaker;
pub mod claim;
pub mod clock_set_back;
pub mod expire;
pub mod lane_start;
pub mod outbound_sms;
pub mod rate_reservation;
pub mod reconcile;
pub mod record_outcomes;
pub mod send;
pub mod send_slots;
pub mod stalled;
pub mod timing;
