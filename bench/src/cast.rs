//! Accounts that somebody would like to know of, and identifiers of nobody that look like theirs.

use anyhow::{Context, Result};
use futures_util::future::try_join_all;
use serde_json::{Value, json};

use crate::gateway::Gateway;
use crate::http::Connection;
use crate::people::PASSWORD;
use crate::product::Product;

/// How many sign up at once.
const AT_ONCE: usize = 4;

const SIGNUP: &str = "mutation ($input: SignupInput!) {
  signup(input: $input) { ... on AuthTokens { accessToken challenge { id } } }
}";
const VERIFY: &str = "mutation ($verification: VerificationInput!) {
  verifyPhone(verification: $verification) { id }
}";
const REQUEST: &str = "mutation { requestCode(purpose: TWO_FACTOR) { id } }";
const TURN_ON: &str = "mutation ($verification: VerificationInput!) {
  setTwoFactor(enabled: true, verification: $verification) { id }
}";

/// Who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An account without a phone.
    WithoutPhone,
    /// One with a phone that is not verified.
    WithPhone,
    /// The same, for another purpose.
    Guessed,
    /// One with a verified phone and two-factor login on.
    TwoFactored,
    /// No account.
    Nobody,
}

impl Kind {
    /// All are of the same length.
    pub fn nickname(self, number: usize) -> String {
        let prefix = match self {
            Self::WithoutPhone => "plain",
            Self::WithPhone => "phone",
            Self::Guessed => "guess",
            Self::TwoFactored => "twice",
            Self::Nobody => "empty",
        };
        format!("{prefix}{number:05}")
    }

    /// The e-mail address of the same account.
    pub fn email(self, number: usize) -> String {
        format!("{}@example.org", self.nickname(number))
    }

    /// Its number, if it has one.
    pub fn phone(self, number: usize) -> Option<String> {
        let block = match self {
            Self::WithoutPhone | Self::Nobody => return None,
            Self::WithPhone => 1,
            Self::Guessed => 2,
            Self::TwoFactored => 3,
        };
        Some(format!("+3168{block}{number:06}"))
    }
}

/// Makes the accounts of each kind, so many. When it ends, every code that goes out for it has come.
///
/// # Errors
/// When one is refused.
pub async fn sign_up(product: &Product, gateway: &Gateway, counts: &[(Kind, usize)]) -> Result<()> {
    let all: Vec<(Kind, usize)> = counts
        .iter()
        .flat_map(|&(kind, count)| (0..count).map(move |number| (kind, number)))
        .collect();
    let parts = all.chunks(all.len().div_ceil(AT_ONCE)).map(async |part| {
        let mut connection = Connection::open(product.address).await?;
        for &(kind, number) in part {
            make(&mut connection, gateway, kind, number).await?;
        }
        anyhow::Ok(())
    });
    try_join_all(parts).await?;
    for (kind, number) in all {
        if let Some(phone) = kind.phone(number) {
            gateway.code(&phone, 0).await?;
        }
    }
    Ok(())
}

async fn make(
    connection: &mut Connection,
    gateway: &Gateway,
    kind: Kind,
    number: usize,
) -> Result<()> {
    let (nickname, email) = (kind.nickname(number), kind.email(number));
    let phone = kind.phone(number);
    let input =
        json!({ "nickname": nickname, "email": email, "phone": phone, "password": PASSWORD });
    let data = connection.ask(SIGNUP, &json!({ "input": input }), None).await?;
    let (Kind::TwoFactored, Some(phone)) = (kind, phone) else { return Ok(()) };
    let token = text(&data, "/signup/accessToken")?;
    let answer = async |challenge: &str, others: usize| {
        let code = gateway.code(&phone, others).await?;
        let verification = json!({ "challengeId": challenge, "code": code });
        anyhow::Ok(json!({ "verification": verification }))
    };
    let variables = answer(text(&data, "/signup/challenge/id")?, 0).await?;
    connection.ask(VERIFY, &variables, Some(token)).await?;
    let asked = connection.ask(REQUEST, &Value::Null, Some(token)).await?;
    let variables = answer(text(&asked, "/requestCode/id")?, 1).await?;
    connection.ask(TURN_ON, &variables, Some(token)).await?;
    Ok(())
}

/// A text of an answer.
///
/// # Errors
/// When there is none.
pub fn text<'a>(data: &'a Value, path: &'static str) -> Result<&'a str> {
    data.pointer(path).and_then(Value::as_str).context(path)
}
