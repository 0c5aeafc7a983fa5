//! Accounts that an attacker may look for, and unknown identifiers of the same form.

use anyhow::{Context, Result};
use futures_util::future::try_join_all;
use serde_json::{Value, json};

use crate::gateway::Gateway;
use crate::http::Connection;
use crate::server::Server;
use crate::users::PASSWORD;

const PARALLEL_SIGNUPS: usize = 4;

const SIGNUP: &str = "mutation ($input: SignupInput!) {
  signup(input: $input) { ... on AuthTokens { accessToken challenge { id } } }
}";
const VERIFY_PHONE: &str = "mutation ($verification: VerificationInput!) {
  verifyPhone(verification: $verification) { id }
}";
const REQUEST_CODE: &str = "mutation { requestCode(purpose: TWO_FACTOR) { id } }";
const ENABLE_TWO_FACTOR: &str = "mutation ($verification: VerificationInput!) {
  setTwoFactor(enabled: true, verification: $verification) { id }
}";

/// The kind of account behind an identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountKind {
    /// An account without a phone.
    WithoutPhone,
    /// An account with an unverified phone.
    WithPhone,
    /// The same, reserved for wrong codes.
    WithPhoneForGuesses,
    /// An account with a verified phone and two-factor login.
    TwoFactor,
    /// No account.
    NoAccount,
}

impl AccountKind {
    /// The nickname of an account. All have the same length.
    pub fn nickname(self, number: usize) -> String {
        let prefix = match self {
            Self::WithoutPhone => "plain",
            Self::WithPhone => "phone",
            Self::WithPhoneForGuesses => "guess",
            Self::TwoFactor => "twice",
            Self::NoAccount => "empty",
        };
        format!("{prefix}{number:05}")
    }

    /// The e-mail address of the same account.
    pub fn email(self, number: usize) -> String {
        format!("{}@example.org", self.nickname(number))
    }

    /// The phone number of the same account, if it has one.
    pub fn phone(self, number: usize) -> Option<String> {
        let block = match self {
            Self::WithoutPhone | Self::NoAccount => return None,
            Self::WithPhone => 1,
            Self::WithPhoneForGuesses => 2,
            Self::TwoFactor => 3,
        };
        Some(format!("+3168{block}{number:06}"))
    }
}

/// Creates the given number of accounts of each kind, and waits until all their codes have arrived.
pub async fn sign_up(
    server: &Server,
    gateway: &Gateway,
    counts: &[(AccountKind, usize)],
) -> Result<()> {
    let all: Vec<(AccountKind, usize)> = counts
        .iter()
        .flat_map(|&(kind, count)| (0..count).map(move |number| (kind, number)))
        .collect();
    let parts = all.chunks(all.len().div_ceil(PARALLEL_SIGNUPS)).map(async |part| {
        let mut connection = Connection::open(server.address).await?;
        for &(kind, number) in part {
            create_account(&mut connection, gateway, kind, number).await?;
        }
        anyhow::Ok(())
    });
    try_join_all(parts).await?;
    for (kind, number) in all {
        if let Some(phone) = kind.phone(number) {
            gateway.wait_for_code(&phone, 0).await?;
        }
    }
    Ok(())
}

async fn create_account(
    connection: &mut Connection,
    gateway: &Gateway,
    kind: AccountKind,
    number: usize,
) -> Result<()> {
    let (nickname, email) = (kind.nickname(number), kind.email(number));
    let phone = kind.phone(number);
    let input =
        json!({ "nickname": nickname, "email": email, "phone": phone, "password": PASSWORD });
    let data = connection.execute(SIGNUP, &json!({ "input": input }), None).await?;
    let (AccountKind::TwoFactor, Some(phone)) = (kind, phone) else { return Ok(()) };
    let token = str_at(&data, "/signup/accessToken")?;
    let verification = async |challenge_id: &str, earlier_codes: usize| {
        let code = gateway.wait_for_code(&phone, earlier_codes).await?;
        let verification = json!({ "challengeId": challenge_id, "code": code });
        anyhow::Ok(json!({ "verification": verification }))
    };
    let variables = verification(str_at(&data, "/signup/challenge/id")?, 0).await?;
    connection.execute(VERIFY_PHONE, &variables, Some(token)).await?;
    let data = connection.execute(REQUEST_CODE, &Value::Null, Some(token)).await?;
    let variables = verification(str_at(&data, "/requestCode/id")?, 1).await?;
    connection.execute(ENABLE_TWO_FACTOR, &variables, Some(token)).await?;
    Ok(())
}

/// Returns the string at a JSON pointer.
pub fn str_at<'a>(data: &'a Value, path: &'static str) -> Result<&'a str> {
    data.pointer(path).and_then(Value::as_str).context(path)
}
