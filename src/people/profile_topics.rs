//! Event topics of a profile: one by the person's id, one by the phone number.

use data_encoding::BASE32_DNSSEC;

use super::account_topic::account_topic;
use super::entity::Model;
use crate::ids::UserId;
use crate::platform::Platform;
use crate::platform::database::Work;
use crate::platform::phone::PhoneKey;
use crate::platform::vault::KeyPurpose;

const PHONE_TOPIC_PURPOSE: KeyPurpose = KeyPurpose("topic of a number");

/// The topic of a person's profile.
pub fn profile_topic(user: UserId) -> String {
    format!("person:{user}")
}

/// The topic of the profile that has a phone number. It does not reveal the number.
pub fn phone_topic(platform: &Platform, phone: &PhoneKey) -> String {
    hashed_topic(&platform.vault.keyed_hash(PHONE_TOPIC_PURPOSE, phone.as_str().as_bytes()))
}

fn hashed_topic(hash: &[u8]) -> String {
    format!("number:{}", BASE32_DNSSEC.encode(hash))
}

/// Publishes after the commit that a person's profile, avatar or visibility changed.
pub fn publish_profile_change(tx: &Work, platform: &Platform, person: &Model) {
    tx.publish(account_topic(person.id));
    tx.publish(profile_topic(person.id));
    if let Some(phone) = &person.phone_key {
        // During a key rotation, instances listen to topics of different keys.
        for hash in platform.vault.keyed_hashes(PHONE_TOPIC_PURPOSE, phone.as_str().as_bytes()) {
            tx.publish(hashed_topic(&hash));
        }
    }
}
