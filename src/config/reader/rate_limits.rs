//! Reads the rate limits.

use super::values::SettingsReader;
use crate::config::rate_limits::{CodeRateLimits, RateLimits};

/// The factor of limits per address in development, where all users share one address.
const DEVELOPMENT_ADDRESS_FACTOR: f64 = 100.0;

impl SettingsReader {
    pub(super) fn rate_limits(&mut self, is_production: bool) -> RateLimits {
        let scale = self.parse_or("LIMITS_SCALE", 1.0_f64);
        if !(scale.is_finite() && scale > 0.0) {
            self.problems.push("LIMITS_SCALE: must be a number above 0".into());
        }
        let address_scale = if is_production { scale } else { scale * DEVELOPMENT_ADDRESS_FACTOR };
        RateLimits {
            failed_logins: self.limit("LIMIT_FAILED_LOGINS", 10, scale),
            failed_logins_per_address: self.limit(
                "LIMIT_FAILED_LOGINS_PER_ADDRESS",
                100,
                address_scale,
            ),
            signups_per_address: self.limit("LIMIT_SIGNUPS_PER_ADDRESS", 60, address_scale),
            lookups: self.limit("LIMIT_LOOKUPS", 100, scale),
            uploads: self.limit("LIMIT_UPLOADS", 20, scale),
            plays: self.limit("LIMIT_PLAYS", 60, scale),
            open_rounds: self.limit("LIMIT_OPEN_ROUNDS", 10, scale),
            calls_per_connection: self.limit("LIMIT_CALLS_PER_CONNECTION", 600, scale),
            wrong_secrets_per_address: self.limit(
                "LIMIT_WRONG_SECRETS_PER_ADDRESS",
                100,
                address_scale,
            ),
            connections_per_address: self.limit("LIMIT_CONNECTIONS_PER_ADDRESS", 60, address_scale),
            mappings_per_address: self.limit("LIMIT_MAPPINGS_PER_ADDRESS", 60, address_scale),
            previews_per_address: self.limit("LIMIT_PREVIEWS_PER_ADDRESS", 600, address_scale),
            codes: CodeRateLimits {
                per_number: self.limit("LIMIT_CODES_PER_NUMBER", 5, scale),
                // Limits SMS pumping, which uses a block of numbers. In development, all test numbers are in one block.
                per_prefix: self.limit("LIMIT_CODES_PER_PREFIX", 100, address_scale),
                per_account: self.limit("LIMIT_CODES_PER_ACCOUNT", 10, scale),
                per_address: self.limit("LIMIT_CODES_PER_ADDRESS", 60, address_scale),
                per_day: self.limit("LIMIT_CODES_PER_DAY", 10_000, scale),
            },
            claims_per_number: self.limit("LIMIT_CLAIMS_PER_NUMBER", 5, scale),
            claims_per_address: self.limit("LIMIT_CLAIMS_PER_ADDRESS", 30, address_scale),
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "bounded just before"
    )]
    fn limit(&mut self, key: &str, default: u32, scale: f64) -> u32 {
        (f64::from(self.parse_or(key, default)) * scale).ceil().clamp(0.0, f64::from(u32::MAX))
            as u32
    }
}
