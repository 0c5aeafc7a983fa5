//! A message as Twilio returns it, and its statuses.

use serde::Deserialize;

use super::error_codes::failure_reason;
use crate::messages::gateway::StatusUpdate;
use crate::messages::status::Status;

/// A message in Twilio's JSON.
#[derive(Deserialize)]
pub struct Message {
    pub sid: String,
    pub status: Option<String>,
    pub error_code: Option<i64>,
    pub body: Option<String>,
    pub from: Option<String>,
    pub messaging_service_sid: Option<String>,
    /// In the format of RFC 2822.
    pub date_created: Option<String>,
}

/// Parses a status. `None` if it is unknown, or Twilio has not sent the message yet.
pub fn parse_status(gateway_status: &str) -> Option<Status> {
    match gateway_status {
        "sent" => Some(Status::Sent),
        "delivered" | "read" => Some(Status::Delivered),
        "undelivered" => Some(Status::Undelivered),
        "failed" | "canceled" => Some(Status::Failed),
        _ => None,
    }
}

/// The update that a status with its error code means.
pub fn status_update(status: Status, error_code: Option<i64>, sid: Option<String>) -> StatusUpdate {
    let reason =
        matches!(status, Status::Undelivered | Status::Failed).then(|| failure_reason(error_code));
    StatusUpdate { status, reason, gateway_id: sid }
}
