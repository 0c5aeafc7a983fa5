//! In-memory state of bonuses: the key of the hashes of phone numbers, and settings.

use std::sync::Arc;

use tokio::sync::OnceCell;

use super::leads::Leads;
use super::number_key::NumberKey;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::ids::BonusImportId;
use crate::messages::Messages;
use crate::platform::Platform;
use crate::platform::jobs::Notifier;
use crate::platform::phone::Region;

/// The in-memory state of bonuses, one per process.
pub struct Bonuses {
    /// The SMS queue.
    pub(super) messages: Arc<Messages>,
    number_key: OnceCell<NumberKey>,
    /// Wakes the job that applies imports.
    pub import_notifier: Notifier,
    /// The state of leads.
    pub leads: Leads,
    /// The region of numbers without a country code.
    pub(super) default_region: Option<Region>,
    /// The largest unpacked file, in bytes.
    pub(super) max_bytes: u64,
    /// The URL of this server, without a trailing slash.
    pub(super) base_url: String,
}

impl Bonuses {
    /// The state with the configured limits. Creates the key of the installation, if there is none yet.
    pub async fn new(platform: &Platform, config: &Config, messages: Arc<Messages>) -> Self {
        // Without its key of SECRET_KEYS, all but bonuses works.
        let number_key = NumberKey::load(platform).await.inspect_err(Error::log).ok();
        Self {
            messages,
            number_key: OnceCell::new_with(number_key),
            import_notifier: Notifier::default(),
            leads: Leads::new(config),
            default_region: config.default_region.map(Region::from),
            max_bytes: config.bonus_max_bytes,
            base_url: config.base_url().to_owned(),
        }
    }

    /// Where administrators find the rejected lines of an import.
    pub fn report_url(&self, import: BonusImportId) -> String {
        format!("{}/bonus-imports/{import}/report.csv", self.base_url)
    }

    /// The key of the hashes of phone numbers.
    ///
    /// # Errors
    /// INTERNAL_SERVER_ERROR if SECRET_KEYS lacks the key that sealed it.
    pub(super) async fn number_key(&self, platform: &Platform) -> Result<&NumberKey> {
        self.number_key.get_or_try_init(|| NumberKey::load(platform)).await
    }
}
