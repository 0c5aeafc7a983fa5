//! How often something may be done.

/// How many attempts are allowed, scaled already.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Failed logins of one identifier from one address in 15 minutes.
    pub failed_logins: u32,
    /// Failed logins from one address in 15 minutes.
    pub failed_logins_per_address: u32,
    /// Sign-ups from one address in an hour.
    pub signups_per_address: u32,
    /// Lookups of phone numbers for one user in an hour.
    pub lookups: u32,
    /// Pictures that one user uploads in an hour.
    pub uploads: u32,
    /// Plays of one user in a minute.
    pub plays: u32,
    /// Rounds that one user may have open.
    pub open_rounds: u32,
    /// Codes by SMS.
    pub codes: CodeLimits,
}

/// How many codes may go out by SMS, scaled already.
#[derive(Clone, Copy, Debug)]
pub struct CodeLimits {
    /// To one number in an hour.
    pub per_number: u32,
    /// To the ten thousand numbers that differ in the last four digits, in an hour.
    pub per_prefix: u32,
    /// For one account in a day.
    pub per_account: u32,
    /// Asked for from one address in an hour.
    pub per_address: u32,
    /// In a day, by all instances together.
    pub per_day: u32,
}
