//! Access tokens: JWTs (RFC 7519) signed with EdDSA (RFC 8037), good for minutes.
//!
//! A verified token is remembered by its digest, since verifying costs more than the rest of a small
//! request. Its time is checked at each use, by our clock and without leeway.

use std::time::Duration;

use chrono::TimeDelta;
use jsonwebtoken::{Algorithm, Header, Validation, decode, decode_header, encode};
use quick_cache::sync::Cache;
use serde::{Deserialize, Serialize};

use super::entity::sessions::Model as Session;
use super::signing_keys::SigningKeys;
use crate::error::{Error, Result};
use crate::ids::{self, Rotation, SessionId, UserId};
use crate::platform::clock::{Instant, is_waiting};
use crate::platform::vault::Hash;
use crate::platform::{Platform, vault};

/// Ours have some 400 bytes.
const LONGEST: usize = 2048;
const REMEMBERED: usize = 50_000;

/// What a token says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claims {
    /// Whom it speaks for.
    pub user: UserId,
    /// By which session.
    pub session: SessionId,
    /// Where it stands among the session's tokens.
    pub rotation: Rotation,
    /// When it is over.
    pub expires_at: Instant,
}

#[derive(Serialize, Deserialize)]
struct Written {
    iss: String,
    sub: String,
    sid: String,
    iat: i64,
    exp: i64,
    jti: String,
    /// How the session was proven (RFC 8176).
    amr: Vec<String>,
    /// Ours: the generation of the token, and its issue.
    r#gen: [i32; 2],
}

/// What a token was found to say, and how long its signature is not looked at again.
#[derive(Clone, Copy)]
struct Verified {
    claims: Claims,
    until: Instant,
}

/// Issues and verifies them.
pub struct AccessTokens {
    issuer: String,
    lifetime: Duration,
    verified: Cache<Hash, Verified>,
}

impl AccessTokens {
    /// For tokens of this issuer, good for `lifetime`.
    pub fn new(issuer: &str, lifetime: Duration) -> Self {
        Self { issuer: issuer.to_owned(), lifetime, verified: Cache::new(REMEMBERED) }
    }

    /// How long a token is good.
    pub fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// Writes a token for a session, to go with the refresh token that stands there.
    pub fn issue(
        &self,
        platform: &Platform,
        keys: &SigningKeys,
        session: &Session,
        rotation: Rotation,
    ) -> Result<String> {
        let amr: &[&str] = if session.second_factor { &["pwd", "sms", "mfa"] } else { &["pwd"] };
        let now = platform.now();
        let written = Written {
            iss: self.issuer.clone(),
            sub: session.user_id.to_string(),
            sid: session.id.to_string(),
            iat: now.timestamp(),
            // The claim has whole seconds: up, so that it is good for as long as it was said to be.
            exp: (now + self.lifetime + TimeDelta::microseconds(999_999)).timestamp(),
            jti: data_encoding::BASE32_DNSSEC.encode(&platform.random::<16>()),
            amr: amr.iter().map(|&method| method.to_owned()).collect(),
            r#gen: [rotation.generation, rotation.issue],
        };
        let keys = keys.current();
        let (id, key) = keys.signer(now);
        let header = Header { kid: Some(id.to_owned()), ..Header::new(Algorithm::EdDSA) };
        encode(&header, &written, key).map_err(Error::internal)
    }

    /// Reads a token that is genuine and not over.
    ///
    /// # Errors
    /// UNAUTHENTICATED for any other.
    pub async fn verify(
        &self,
        platform: &Platform,
        keys: &SigningKeys,
        token: &str,
    ) -> Result<Claims> {
        if token.len() > LONGEST {
            return Err(not_accepted());
        }
        let (now, digest): (_, Hash) = (platform.now(), vault::sha256(token.as_bytes()));
        let Verified { claims, .. } = match self
            .verified
            .get(&digest)
            .filter(|it| is_waiting(now, it.until, self.lifetime))
        {
            Some(verified) => verified,
            None => {
                let verified = self.check(platform, keys, token).await?;
                self.verified.insert(digest, verified);
                verified
            }
        };
        if platform.now() >= claims.expires_at {
            self.verified.remove(&digest);
            return Err(over());
        }
        Ok(claims)
    }

    async fn check(
        &self,
        platform: &Platform,
        keys: &SigningKeys,
        token: &str,
    ) -> Result<Verified> {
        let header = decode_header(token).map_err(|_| not_accepted())?;
        let id = header.kid.filter(|_| header.alg == Algorithm::EdDSA).ok_or_else(not_accepted)?;
        let (now, mut set) = (platform.now(), keys.current());
        if set.verifier(&id, now, self.lifetime).is_none() {
            set = keys.reload_for_unknown(platform).await?;
        }
        let (key, over_at) = set.verifier(&id, now, self.lifetime).ok_or_else(not_accepted)?;
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[&self.issuer]);
        validation.set_required_spec_claims(&["exp", "iss", "sub"]);
        // The library would read the system's clock and forgive a minute: `verify` checks the time.
        validation.validate_exp = false;
        let written =
            decode::<Written>(token, key, &validation).map_err(|_| not_accepted())?.claims;
        let [generation, issue] = written.r#gen;
        let claims = Claims {
            user: ids::parse(&written.sub).ok_or_else(not_accepted)?,
            session: ids::parse(&written.sid).ok_or_else(not_accepted)?,
            rotation: Rotation { generation, issue },
            expires_at: Instant::from_timestamp(written.exp, 0).ok_or_else(not_accepted)?,
        };
        // One that was made with a stolen key says any time: it is remembered no longer than one of ours could
        // be good, nor than its key.
        let until = now + self.lifetime;
        Ok(Verified { claims, until: over_at.map_or(until, |over_at| until.min(over_at)) })
    }
}

/// The token was good once.
pub fn over() -> Error {
    Error::unauthenticated("The access token is over. Refresh it.")
}

/// The token is not one of ours, as far as is known here.
pub fn not_accepted() -> Error {
    Error::unauthenticated("The access token is not accepted.")
}
