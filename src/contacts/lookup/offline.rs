//! Phone lookup offline, by the metadata of libphonenumber (the numbering plan of each country).

use async_trait::async_trait;

use super::provider::{LookupError, LookupProvider, LookupResult};
use crate::platform::outbound::Outbound;
use crate::platform::phone::{InvalidPhoneReason, PhoneNumber};

/// Lookup provider that needs no network.
pub struct OfflineLookup;

#[async_trait]
impl LookupProvider for OfflineLookup {
    fn name(&self) -> &'static str {
        "offline"
    }

    async fn look_up(
        &self,
        _: &Outbound,
        phone: &PhoneNumber,
    ) -> Result<LookupResult, LookupError> {
        let info = phone.info();
        Ok(if info.is_valid {
            LookupResult::Valid(info)
        } else {
            LookupResult::Invalid(InvalidPhoneReason::NotInUse)
        })
    }
}
