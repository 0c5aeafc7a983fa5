//! The metadata of libphonenumber: it knows the number plan of each country, and needs nobody.

use async_trait::async_trait;

use super::{Finding, Lookup, Trouble};
use crate::platform::outbound::Outbound;
use crate::platform::phone::{PhoneNumber, Reason};

/// Asks nobody.
pub struct Offline;

#[async_trait]
impl Lookup for Offline {
    fn name(&self) -> &'static str {
        "offline"
    }

    async fn look_up(&self, _: &Outbound, phone: &PhoneNumber) -> Result<Finding, Trouble> {
        let facts = phone.facts();
        Ok(if facts.valid { Finding::Valid(facts) } else { Finding::Invalid(Reason::NotInUse) })
    }
}
