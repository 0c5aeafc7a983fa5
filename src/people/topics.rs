//! Telling that what others see of somebody is another: to those who know their id, and to those who know
//! their number.

use data_encoding::BASE32_DNSSEC;

use super::entity::Model;
use crate::ids::UserId;
use crate::platform::Platform;
use crate::platform::phone::PhoneKey;
use crate::platform::vault::Purpose;

const NUMBER: Purpose = Purpose("topic of a number");

/// The topic of what others see of a person.
pub fn topic(user: UserId) -> String {
    format!("person:{user}")
}

/// The topic of whoever has a number. The number does not show in it.
pub fn number_topic(platform: &Platform, phone: &PhoneKey) -> String {
    written(&platform.vault.keyed_hash(NUMBER, phone.as_str().as_bytes()))
}

fn written(hash: &[u8]) -> String {
    format!("number:{}", BASE32_DNSSEC.encode(hash))
}

/// Tells that a person's profile, avatar or visibility is another. Call it when the change is committed.
pub fn tell(platform: &Platform, person: &Model) {
    platform.events.publish(&topic(person.id));
    if let Some(phone) = &person.phone_key {
        // While a new key comes in, another instance's first key may be another.
        for hash in platform.vault.keyed_hashes(NUMBER, phone.as_str().as_bytes()) {
            platform.events.publish(&written(&hash));
        }
    }
}
