//! Event topics of a profile: by the person's id, and by the phone number.

use data_encoding::BASE32_DNSSEC;

use super::entity::Model;
use crate::ids::UserId;
use crate::platform::Platform;
use crate::platform::phone::PhoneKey;
use crate::platform::vault::Purpose;

const PHONE_TOPIC: Purpose = Purpose("topic of a number");

/// The topic of a person's profile.
pub fn profile_topic(user: UserId) -> String {
    format!("person:{user}")
}

/// The topic of the profile with a phone number. It does not reveal the number.
pub fn phone_topic(platform: &Platform, phone: &PhoneKey) -> String {
    hashed_topic(&platform.vault.keyed_hash(PHONE_TOPIC, phone.as_str().as_bytes()))
}

fn hashed_topic(hash: &[u8]) -> String {
    format!("number:{}", BASE32_DNSSEC.encode(hash))
}

/// Notifies watchers that a person's profile, avatar or visibility changed. Call it after the commit.
pub fn notify_profile_changed(platform: &Platform, person: &Model) {
    platform.events.publish(&profile_topic(person.id));
    if let Some(phone) = &person.phone_key {
        // During a key rotation, instances may use different keys first.
        for hash in platform.vault.keyed_hashes(PHONE_TOPIC, phone.as_str().as_bytes()) {
            platform.events.publish(&hashed_topic(&hash));
        }
    }
}
