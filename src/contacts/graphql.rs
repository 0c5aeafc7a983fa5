//! GraphQL of contacts: objects, `User.contacts` and the mutations.

use std::sync::Arc;

use async_graphql::connection::Connection;
use async_graphql::dataloader::DataLoader;
use async_graphql::{Context, Enum, ID, InputObject, Object, SimpleObject};

use super::entity::{self, ContactSearch, Model, SortPosition};
use super::loaders::LookupByPhone;
use super::lookup::entity::Model as Lookup;
use super::{CachedLookup, NewContact};
use crate::api::scalars::{DateTime, PhoneNumber};
use crate::api::{ApiError, ContextExt, Cursor, NullableResult, Page, respond};
use crate::error::{Error, ForField, Result, check_optional};
use crate::ids::{ContactId, Id, UserId, parse};
use crate::people::graphql::{Profile, User};
use crate::people::loaders::DiscoverableByPhone;
use crate::platform::{phone, text};

/// Fewer digits would match almost every number.
const MIN_SEARCH_DIGITS: usize = 3;
const MAX_SEARCH_LEN: usize = 100;

/// A page of contacts.
pub type ContactPage = Connection<Cursor<SortPosition>, Contact, ContactCount>;

/// GraphQL object of a contact.
pub struct Contact(Model);

/// One of your contacts.
#[Object]
impl Contact {
    /// The contact's id.
    async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// What you call them.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// Their number.
    async fn phone(&self) -> PhoneNumber {
        PhoneNumber(self.0.phone.as_str().to_owned())
    }

    /// What is known about the number. It was looked up before the contact was saved.
    async fn lookup(&self, ctx: &Context<'_>) -> Result<PhoneLookup, ApiError> {
        let lookup = ctx
            .data_unchecked::<DataLoader<LookupByPhone>>()
            .load_one(self.0.phone.clone())
            .await?;
        let lookup =
            lookup.ok_or_else(|| Error::internal("a contact's number was never looked up"))?;
        Ok(PhoneLookup { id: format!("{}:lookup", self.0.id).into(), lookup })
    }

    /// Their profile, when a discoverable user has proved to have the number.
    async fn profile(&self, ctx: &Context<'_>) -> NullableResult<Profile> {
        let people = ctx.data_unchecked::<DataLoader<DiscoverableByPhone>>();
        match people.load_one(self.0.phone_key.clone()).await {
            Ok(person) => person.map(|person| Ok(Profile::from(&person))),
            Err(error) => Some(Err(error.into())),
        }
    }

    /// You.
    async fn owner(&self, ctx: &Context<'_>) -> NullableResult<User> {
        User::load_shared(ctx, self.0.owner_id).await
    }

    /// When it was added.
    async fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }
}

/// GraphQL object of a phone lookup.
pub struct PhoneLookup {
    id: ID,
    lookup: Lookup,
}

/// What was found out about a phone number.
#[Object]
impl PhoneLookup {
    /// The id, which begins with the contact's.
    async fn id(&self) -> &ID {
        &self.id
    }

    /// ISO 3166-1 alpha-2; "001" for numbers of no country.
    async fn country_code(&self) -> &str {
        &self.lookup.country_code
    }

    /// The calling code, without plus.
    async fn country_prefix(&self) -> i32 {
        self.lookup.country_prefix
    }

    /// What kind of line it is.
    #[graphql(name = "type")]
    async fn number_type(&self) -> PhoneNumberType {
        self.lookup.line_type.into()
    }

    /// "+31 6 12345678"
    async fn international(&self) -> &str {
        &self.lookup.international
    }

    /// "06 12345678"
    async fn national(&self) -> &str {
        &self.lookup.national
    }

    /// "tel:+31-6-12345678" (RFC 3966)
    async fn rfc3966(&self) -> &str {
        &self.lookup.rfc3966
    }

    /// Who was asked: "messagebird", "twilio" or "offline".
    async fn source(&self) -> &str {
        &self.lookup.source
    }

    /// When they were asked.
    async fn checked_at(&self) -> DateTime {
        self.lookup.checked_at.into()
    }
}

/// What kind of line a phone number is.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "crate::platform::phone::LineType")]
pub enum PhoneNumberType {
    /// A landline.
    FixedLine,
    /// A mobile.
    Mobile,
    /// Either: the country's numbers do not tell.
    FixedLineOrMobile,
    /// Free for the caller.
    TollFree,
    /// Dear for the caller. Not accepted for contacts unless configured.
    PremiumRate,
    /// Paid by both. Not accepted for contacts unless configured.
    SharedCost,
    /// Over the internet.
    Voip,
    /// Follows a person.
    PersonalNumber,
    /// A pager.
    Pager,
    /// One number of a company for all its places.
    UniversalAccessNumber,
    /// A mailbox.
    VoiceMail,
    /// Not known.
    Unknown,
}

/// Additional field of a page of contacts: the total count.
pub struct ContactCount {
    owner: UserId,
    search: Option<ContactSearch>,
}

#[Object]
impl ContactCount {
    /// How many there are in all, on every page.
    async fn total_count(&self, ctx: &Context<'_>) -> NullableResult<i32> {
        respond(ctx, async {
            let count =
                entity::count(ctx.platform().database.reads(), self.owner, self.search.as_ref())
                    .await?;
            Ok(i32::try_from(count).unwrap_or(i32::MAX))
        })
        .await
    }
}

/// Loads a page of a user's contacts, for `User.contacts`.
///
/// # Errors
/// BAD_USER_INPUT on `first`, `after` and `search`.
pub async fn load_contact_page(
    ctx: &Context<'_>,
    owner: UserId,
    first: Option<i32>,
    after: Option<String>,
    search: Option<String>,
) -> Result<ContactPage> {
    let page = Page::<SortPosition>::parse(first, after.as_deref())?;
    let parse_search = |text: &str| text::parse_line(&text::clean_input(text), MAX_SEARCH_LEN);
    let search = check_optional(search.as_deref(), parse_search).for_field("search")?;
    let region = ctx.data_unchecked::<Arc<CachedLookup>>().default_region();
    let search = search.map(|text| ContactSearch {
        name: text::sort_key(&text),
        digits: search_digits(&text),
        phone: phone::PhoneNumber::parse(&text, region)
            .ok()
            .or_else(|| phone::PhoneNumber::parse_without_plus(&text))
            .map(|phone| phone.key()),
    });
    let db = ctx.platform().database.reads();
    let rows =
        entity::find_page(db, owner, search.as_ref(), page.after.clone(), page.rows_to_read())
            .await?;
    let to_edge =
        |row: Model| ((row.sort_key.clone(), row.name.clone(), row.id.uuid()), Contact(row));
    Ok(page.connection(rows, ContactCount { owner, search }, to_edge))
}

/// Digits of a search that looks like part of a phone number, without the trunk zero of national numbers.
fn search_digits(text: &str) -> Option<String> {
    let text: String =
        text::strip_invisible(text).chars().map(|c| text::to_ascii_digit(c).unwrap_or(c)).collect();
    let is_number = text.chars().all(|c| c.is_ascii_digit() || " +-()./".contains(c));
    let digits: String = text.replace("(0)", "").chars().filter(char::is_ascii_digit).collect();
    let digits = digits.trim_start_matches('0');
    (is_number && digits.len() >= MIN_SEARCH_DIGITS).then(|| digits.to_owned())
}

/// A new contact.
#[derive(InputObject)]
struct AddContactInput {
    /// What you call them, 1 to 100 characters.
    name: String,
    /// Their number: with + and the country code, or as it is written in `countryCode`.
    phone: String,
    /// The country (ISO 3166-1 alpha-2) of a number that is written without its country code.
    country_code: Option<String>,
}

/// A contact's new name.
#[derive(InputObject)]
struct UpdateContactInput {
    /// The contact's id.
    id: ID,
    /// What you call them from now on, 1 to 100 characters.
    name: String,
}

/// A contact that is no more.
#[derive(SimpleObject)]
#[graphql(complex)]
pub struct RemovedContact {
    /// The id that the contact had.
    id: ID,
    #[graphql(skip)]
    owner: UserId,
}

#[async_graphql::ComplexObject]
impl RemovedContact {
    /// You.
    async fn owner(&self, ctx: &Context<'_>) -> NullableResult<User> {
        User::load(ctx, self.owner).await
    }
}

/// Query of contacts.
#[derive(Default)]
pub struct ContactQuery;

#[Object]
impl ContactQuery {
    /// One of the viewer's contacts. NOT_FOUND for a contact of another user, too.
    async fn contact(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The contact's id.")] id: ID,
    ) -> NullableResult<Contact> {
        respond(ctx, async {
            let owner = ctx.viewer()?.user;
            let not_found = || Error::not_found("contact");
            let id = parse(&id).ok_or_else(not_found)?;
            let found = entity::find_by_id(ctx.platform().database.reads(), owner, id).await?;
            found.map(Contact).ok_or_else(not_found)
        })
        .await
    }
}

/// Mutations of contacts.
#[derive(Default)]
pub struct ContactMutation;

#[Object]
impl ContactMutation {
    /// Adds a contact, if the number exists and can be called. It is looked up first.
    async fn add_contact(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The new contact.")] input: AddContactInput,
    ) -> NullableResult<Contact> {
        respond(ctx, async {
            let viewer = ctx.viewer()?;
            let lookup = ctx.data_unchecked::<Arc<CachedLookup>>();
            let new = NewContact {
                name: input.name,
                phone: input.phone,
                country_code: input.country_code,
            };
            Ok(Contact(super::add(ctx.platform(), lookup, viewer.user, new).await?))
        })
        .await
    }

    /// Renames a contact.
    async fn update_contact(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The contact, and its new name.")] input: UpdateContactInput,
    ) -> NullableResult<Contact> {
        respond(ctx, async {
            let viewer = ctx.viewer()?;
            Ok(Contact(
                super::rename(ctx.platform(), viewer.user, parse(&input.id), &input.name).await?,
            ))
        })
        .await
    }

    /// Removes a contact.
    async fn remove_contact(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The contact's id.")] id: ID,
    ) -> NullableResult<RemovedContact> {
        respond(ctx, async {
            let viewer = ctx.viewer()?;
            let removed =
                super::remove(ctx.platform(), viewer.user, parse::<ContactId>(&id)).await?;
            Ok(RemovedContact { id: removed.to_string().into(), owner: viewer.user })
        })
        .await
    }
}
