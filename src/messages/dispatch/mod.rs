//! Dispatch of queued messages: claims due messages, sends them through SMS gateways, records the outcomes, and
//! reconciles messages whose outcome is unknown.

pub mod attempt;
pub mod build_sms;
pub mod circuit_breaker;
pub mod claim;
pub mod expire;
pub mod lane_start;
pub mod rate_reservation;
pub mod reconcile;
pub mod record_outcomes;
pub mod reschedule;
pub mod send;
pub mod send_slots;
pub mod stalled;
pub mod timing;
