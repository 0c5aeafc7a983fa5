//! The rate limits.

/// The maximum numbers of attempts, after scaling by `LIMITS_SCALE`.
#[derive(Clone, Debug)]
pub struct RateLimits {
    /// Failed logins per identifier and address in 15 minutes.
    pub failed_logins: u32,
    /// Failed logins per address in 15 minutes.
    pub failed_logins_per_address: u32,
    /// Sign-ups per address and hour.
    pub signups_per_address: u32,
    /// Lookups of phone numbers per user and hour.
    pub lookups: u32,
    /// Uploaded pictures per user and hour.
    pub uploads: u32,
    /// Played rounds per user and minute.
    pub plays: u32,
    /// Open rounds per user.
    pub open_rounds: u32,
    /// Calls by an API connection and minute.
    pub calls_per_connection: u32,
    /// Wrong secrets of API connections per address in 15 minutes.
    pub wrong_secrets_per_address: u32,
    /// API connections made per address and hour.
    pub connections_per_address: u32,
    /// Mappings made per address and hour.
    pub mappings_per_address: u32,
    /// Previews of mappings by one address per hour.
    pub previews_per_address: u32,
    /// Codes by SMS.
    pub codes: CodeRateLimits,
    /// Claims of a bonus per phone number and day.
    pub claims_per_number: u32,
    /// Claims of a bonus per address and hour.
    pub claims_per_address: u32,
}

/// The maximum numbers of codes sent by SMS, after scaling by `LIMITS_SCALE`.
#[derive(Clone, Copy, Debug)]
pub struct CodeRateLimits {
    /// Per phone number and hour.
    pub per_number: u32,
    /// Per block of 10,000 phone numbers that differ in the last four digits only, and hour.
    pub per_prefix: u32,
    /// Per account and day.
    pub per_account: u32,
    /// Requests per address and hour.
    pub per_address: u32,
    /// Per day, over all instances.
    pub per_day: u32,
}
