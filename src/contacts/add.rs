//! Use case: add a contact. Its number is looked up before it is saved.

use super::entity::{self, Model};
use super::{CachedLookup, contacts_topic};
use crate::error::{CollectErrors, Error, ErrorCode, ForField, Result, UserError, check_optional};
use crate::ids::UserId;
use crate::people::{self, parse_person_name};
use crate::platform::phone::{PhoneNumber, Region};
use crate::platform::{Platform, text};

/// Input for a new contact.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "explained by AddContactInput in the schema")]
pub struct NewContact {
    pub name: String,
    pub phone: String,
    pub country_code: Option<String>,
}

/// Adds a contact if its number exists and its type of line is accepted.
///
/// # Errors
/// BAD_USER_INPUT and INVALID_PHONE_NUMBER with their fields; CONFLICT on `phone` if the owner already has the number;
/// LOOKUP_UNAVAILABLE if the number cannot be checked; RATE_LIMITED.
pub async fn add(
    platform: &Platform,
    lookup: &CachedLookup,
    owner: UserId,
    new: NewContact,
) -> Result<Model> {
    let (name, region) = (
        parse_person_name(&new.name).for_field("name"),
        check_optional(new.country_code.as_deref(), Region::parse).for_field("countryCode"),
    );
    let default_region =
        region.as_ref().ok().and_then(Option::as_ref).or_else(|| lookup.default_region());
    let phone = PhoneNumber::parse(&new.phone, default_region).for_field("phone");
    let (name, phone, _) = (name, phone, region).collect_errors()?;

    if entity::has_phone(platform.database.reads(), owner, &phone.key()).await? {
        return Err(duplicate_error().into());
    }
    lookup.ensure_callable(owner, &phone).await?;

    let tx = platform.begin().await?;
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
    let contact = entity::insert(&tx, contact).await.map_err(|error| {
        match entity::is_duplicate_phone(&error) {
            true => duplicate_error().into(),
            false => Error::from(error),
        }
    })?;
    tx.publish(contacts_topic(owner));
    tx.commit().await?;
    Ok(contact)
}

fn duplicate_error() -> UserError {
    UserError::new(ErrorCode::Conflict, "This number is among your contacts already.")
        .for_field("phone")
}
