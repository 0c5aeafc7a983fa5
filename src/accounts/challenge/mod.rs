//! Challenges: a code goes out by SMS, and whoever answers it has the phone.
//!
//! A challenge is bound to an account, a purpose and, once somebody is signed in, their session. The code
//! is kept as a keyed hash; its text is sealed in its message until that is handed over.

use std::net::IpAddr;
use std::time::Duration;

use data_encoding::BASE32_DNSSEC;
use uuid::Uuid;

use super::entity::challenges::Model;
pub use super::entity::challenges::Purpose;
use crate::ids::SessionId;
use crate::messages::Status;
use crate::people::Person;
use crate::platform::Platform;
use crate::platform::clock::Instant;
use crate::platform::phone::PhoneNumber;
use crate::platform::vault::{self, Hash, same};

mod answer;
mod ask;
pub mod budgets;
mod code;
mod resend;
mod watch;

pub use answer::{Answerer, answered};
pub use ask::{ask, code_for, make, renewed, waits_until};
pub use code::{Code, EnteredCode, Verification};
pub use resend::{may_go_again, resend, resend_wait};
pub use watch::{Told, find, tell_codes, visible, watch};

/// How long a code is good.
pub const LIFETIME: Duration = Duration::from_mins(5);
/// What stands in the place of a number of which nothing is said.
const SOMEWHERE: &str = "••••";
const CODE: vault::Purpose = vault::Purpose("challenge code");
const ID: vault::Purpose = vault::Purpose("challenge id");

/// A code that is on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// What names it: whoever knows it may ask how far it got.
    pub id: String,
    /// What it is for.
    pub purpose: Purpose,
    /// Where it went, masked.
    pub destination: String,
    /// When it is no longer taken.
    pub expires_at: Instant,
    /// When another can be asked for.
    pub resend_at: Instant,
    /// How far its message is.
    pub delivery: Option<Status>,
}

/// Who asks for a code.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'a> {
    /// Whose account it is about.
    pub person: &'a Person,
    /// By which session; none when nobody is signed in yet.
    pub session: Option<SessionId>,
    /// Where the request came from.
    pub address: IpAddr,
}

impl Challenge {
    /// A challenge as it is shown. One for a forgotten password gives nothing away.
    fn of(
        platform: &Platform,
        row: &Model,
        phone: Option<&PhoneNumber>,
        status: Option<Status>,
    ) -> Self {
        let (destination, delivery) = match row.purpose {
            Purpose::ResetPassword => (SOMEWHERE.to_owned(), Some(Status::Sent)),
            _ => (phone.map_or_else(|| SOMEWHERE.to_owned(), PhoneNumber::masked), status),
        };
        Self {
            id: public_id(platform, row.id),
            purpose: row.purpose,
            destination,
            expires_at: row.expires_at,
            resend_at: row.resend_at,
            delivery,
        }
    }
}

/// The challenge for a forgotten password, whoever's it is.
pub fn of_nobody_known(platform: &Platform, row: &Model) -> Challenge {
    Challenge::of(platform, row, None, None)
}

/// A code that is told by other means than an SMS: its challenge's id, the code, and the hash to keep.
pub fn public_code(platform: &Platform, id: Uuid) -> (String, String, Vec<u8>) {
    let code = ask::new_code(platform);
    let hash = hash_of(platform, id, &code).to_vec();
    (public_id(platform, id), code, hash)
}

/// An id that cannot be guessed: it is the right to look at its challenge.
fn public_id(platform: &Platform, id: Uuid) -> String {
    let tag = platform.vault.keyed_hash(ID, id.as_bytes());
    format!("chl_{}", BASE32_DNSSEC.encode(&[id.as_bytes(), &tag[..16]].concat()))
}

/// The challenge that an id of ours names.
fn read_id(platform: &Platform, text: &str) -> Option<Uuid> {
    let encoded = text.strip_prefix("chl_").filter(|encoded| encoded.len() == 52)?;
    let bytes = BASE32_DNSSEC.decode(encoded.as_bytes()).ok()?;
    let (id, tag) = bytes.split_at_checked(16)?;
    let id = Uuid::from_slice(id).ok()?;
    let mut tags = platform.vault.keyed_hashes(ID, id.as_bytes());
    tags.any(|ours| same(&ours[..16], tag)).then_some(id)
}

fn hash_of(platform: &Platform, id: Uuid, code: &str) -> Hash {
    platform.vault.keyed_hash(CODE, &[id.as_bytes(), code.as_bytes()].concat())
}

/// Whether a code is the one of a challenge.
fn is_code_of(platform: &Platform, row: &Model, code: &Code) -> bool {
    let given = [row.id.as_bytes(), code.as_str().as_bytes()].concat();
    let known = row.code_hash.as_deref().unwrap_or(&[0; 32]);
    platform.vault.keyed_hashes(CODE, &given).any(|hash| same(&hash, known))
}
