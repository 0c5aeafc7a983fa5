//! What codes may cost: budgets per number, block of numbers, account, address, and for all in a day. They
//! are counted in the database, so that more instances are no more codes.

use std::net::IpAddr;
use std::time::Duration;

use crate::accounts::Accounts;
use crate::config::limits::CodeLimits;
use crate::error::Result;
use crate::ids::{Id, UserId};
use crate::platform::Platform;
use crate::platform::budget::Budget;
use crate::platform::database::Work;
use crate::platform::phone::{PhoneKey, PhoneNumber};
use crate::platform::throttle::{Limit, network_of};

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
/// Numbers that differ in so many last digits are a block.
const BLOCK_DIGITS: usize = 4;
/// Tries at codes: not scaled by LIMITS_SCALE, or a load test would make codes guessable.
const TRIES: Limit = Limit { attempts: 5, window: HOUR };

/// The budgets of an installation.
pub struct Budgets {
    per_number: Budget,
    per_prefix: Budget,
    per_account: Budget,
    per_address: Budget,
    per_day: Budget,
    /// Asking for a forgotten password's code by one identifier.
    pub resets: Budget,
    resets_to_number: Budget,
    resets_of_account: Budget,
    /// Notices to one number.
    pub notices: Budget,
    /// Wrong tries at an account's codes.
    pub tries: Budget,
    /// Wrong tries at codes for a forgotten password, by the identifier that was given.
    pub reset_tries: Budget,
    /// The same by the account that it names.
    pub reset_tries_of_account: Budget,
}

impl Budgets {
    /// As they are configured.
    pub fn new(limits: &CodeLimits) -> Self {
        let budget = |name, attempts, window| Budget { name, limit: Limit { attempts, window } };
        // Anybody can ask for these: some codes are left for the owner.
        let resets_to_number = (limits.per_number * 3).div_ceil(5);
        let tries = |name| Budget { name, limit: TRIES };
        Self {
            per_number: budget("codes.number", limits.per_number, HOUR),
            per_prefix: budget("codes.prefix", limits.per_prefix, HOUR),
            per_account: budget("codes.account", limits.per_account, DAY),
            per_address: budget("codes.address", limits.per_address, HOUR),
            per_day: budget("codes.day", limits.per_day, DAY),
            resets: budget("resets.identifier", resets_to_number, HOUR),
            resets_to_number: budget("resets.number", resets_to_number, HOUR),
            resets_of_account: budget("resets.account", limits.per_account.div_ceil(2), DAY),
            notices: budget("notices.number", limits.per_number, HOUR),
            tries: tries("tries.account"),
            reset_tries: tries("tries.reset.identifier"),
            reset_tries_of_account: tries("tries.reset.account"),
        }
    }
}

/// Uses up one code to a number, for an account.
///
/// # Errors
/// RATE_LIMITED; the transaction must then not be committed.
pub async fn take(
    accounts: &Accounts,
    platform: &Platform,
    tx: &Work,
    phone: &PhoneNumber,
    user: UserId,
) -> Result<()> {
    let (budgets, phone) = (&accounts.budgets, phone.key());
    budgets.per_number.take(tx, platform, phone.as_str().as_bytes()).await?;
    budgets.per_account.take(tx, platform, user.uuid().as_bytes()).await?;
    budgets.per_prefix.take(tx, platform, block_of(&phone).as_bytes()).await?;
    // Last: everybody waits for it.
    budgets.per_day.take(tx, platform, b"").await
}

/// Uses up one code that anybody may have asked for.
///
/// # Errors
/// RATE_LIMITED; the transaction must then not be committed.
pub async fn take_of_reset(
    accounts: &Accounts,
    platform: &Platform,
    tx: &Work,
    phone: &PhoneNumber,
    user: UserId,
) -> Result<()> {
    let budgets = &accounts.budgets;
    budgets.resets_to_number.take(tx, platform, phone.key().as_str().as_bytes()).await?;
    budgets.resets_of_account.take(tx, platform, user.uuid().as_bytes()).await?;
    take(accounts, platform, tx, phone, user).await
}

/// Uses up one code that an address asked for.
///
/// # Errors
/// RATE_LIMITED; the transaction must then not be committed.
pub async fn take_of_address(
    accounts: &Accounts,
    platform: &Platform,
    tx: &Work,
    address: IpAddr,
) -> Result<()> {
    let network = network_of(address).to_string();
    accounts.budgets.per_address.take(tx, platform, network.as_bytes()).await
}

/// Counts a code that somebody has earned by answering another, whatever is left.
///
/// # Errors
/// Those of the database.
pub async fn charge(
    accounts: &Accounts,
    platform: &Platform,
    tx: &Work,
    phone: &PhoneNumber,
    user: UserId,
) -> Result<()> {
    let (budgets, phone) = (&accounts.budgets, phone.key());
    budgets.per_number.charge(tx, platform, phone.as_str().as_bytes()).await?;
    budgets.per_account.charge(tx, platform, user.uuid().as_bytes()).await?;
    budgets.per_prefix.charge(tx, platform, block_of(&phone).as_bytes()).await?;
    budgets.per_day.charge(tx, platform, b"").await
}

fn block_of(phone: &PhoneKey) -> &str {
    let number = phone.as_str();
    &number[..number.len().saturating_sub(BLOCK_DIGITS)]
}
