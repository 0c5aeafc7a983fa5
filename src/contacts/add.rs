//! Adding a contact: its number is looked up first, and nothing is saved unless it can be called.

use super::entity::{self, Model};
use super::{Lookups, topic};
use crate::error::{At, Checked, Error, ErrorCode, Failure, Result, optional};
use crate::ids::UserId;
use crate::people::{self, person_name};
use crate::platform::phone::{PhoneNumber, Region};
use crate::platform::{Platform, text};

/// What somebody enters.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "explained by AddContactInput in the schema")]
pub struct NewContact {
    pub name: String,
    pub phone: String,
    pub country_code: Option<String>,
}

/// Saves a contact whose number exists and can be called.
///
/// # Errors
/// BAD_USER_INPUT and INVALID_PHONE_NUMBER with their fields; CONFLICT on `phone` when it is there already;
/// LOOKUP_UNAVAILABLE when the number cannot be checked; RATE_LIMITED.
pub async fn add(
    platform: &Platform,
    lookups: &Lookups,
    owner: UserId,
    new: NewContact,
) -> Result<Model> {
    let (name, region) = (
        person_name(&new.name).at("name"),
        optional(new.country_code.as_deref(), Region::parse).at("countryCode"),
    );
    let known_region =
        region.as_ref().ok().and_then(Option::as_ref).or_else(|| lookups.default_region());
    let phone = PhoneNumber::parse(&new.phone, known_region).at("phone");
    let (name, phone, _) = (name, phone, region).all()?;

    if entity::has_phone(platform.database.reads(), owner, &phone.key()).await? {
        return Err(there_already().into());
    }
    lookups.check(owner, &phone).await?;

    let tx = platform.database.begin().await?;
    people::lock_own(&tx, owner).await?;
    let contact = Model {
        id: platform.new_id(),
        owner_id: owner,
        sort_key: text::sort_key(&name),
        name,
        phone_key: phone.key(),
        phone,
        created_at: platform.now(),
    };
    let contact =
        entity::insert(&tx, contact).await.map_err(|error| match entity::is_there(&error) {
            true => there_already().into(),
            false => Error::from(error),
        })?;
    tx.commit().await?;
    platform.events.publish(&topic(owner));
    Ok(contact)
}

fn there_already() -> Failure {
    Failure::new(ErrorCode::Conflict, "This number is among your contacts already.").at("phone")
}
