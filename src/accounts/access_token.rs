//! Access tokens: short-lived JWTs (RFC 7519) signed with EdDSA (RFC 8037).
//!
//! Verified tokens are cached by their digest, as verifying a signature costs more than the rest of a small request.
//! The expiry is checked at each use, by our clock and without leeway.

use std::time::Duration;

use chrono::TimeDelta;
use jsonwebtoken::{Algorithm, Header, Validation, decode, decode_header, encode};
use quick_cache::sync::Cache;
use serde::{Deserialize, Serialize};

use super::entity::sessions::Model as Session;
use super::signing_keys::SigningKeys;
use crate::error::{Error, Result};
use crate::ids::{self, SessionId, TokenVersion, UserId};
use crate::platform::clock::{Timestamp, is_waiting};
use crate::platform::vault::Hash;
use crate::platform::{Platform, vault};

/// Our tokens have about 400 bytes.
const MAX_TOKEN_LEN: usize = 2048;
const CACHE_CAPACITY: usize = 50_000;

/// The claims of an access token that we use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claims {
    /// The user.
    pub user: UserId,
    /// The user's session.
    pub session: SessionId,
    /// Which of the session's tokens this is.
    pub token_version: TokenVersion,
    /// When the token expires.
    pub expires_at: Timestamp,
}

/// The claims as they are encoded in the JWT.
#[derive(Serialize, Deserialize)]
struct JwtClaims {
    iss: String,
    sub: String,
    sid: String,
    iat: i64,
    exp: i64,
    jti: String,
    /// The authentication methods (RFC 8176).
    amr: Vec<String>,
    /// A claim of our own: generation and issue.
    r#gen: [i32; 2],
}

/// The claims of a token whose signature was verified, and when it must be verified again.
#[derive(Clone, Copy)]
struct VerifiedToken {
    claims: Claims,
    valid_until: Timestamp,
}

/// Issues and verifies access tokens.
pub struct AccessTokens {
    issuer: String,
    lifetime: Duration,
    verified: Cache<Hash, VerifiedToken>,
}

impl AccessTokens {
    pub fn new(issuer: &str, lifetime: Duration) -> Self {
        Self { issuer: issuer.to_owned(), lifetime, verified: Cache::new(CACHE_CAPACITY) }
    }

    /// The lifetime of a token.
    pub fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// Issues a token of a session. It has the version of the refresh token that is issued with it.
    pub fn issue(
        &self,
        platform: &Platform,
        keys: &SigningKeys,
        session: &Session,
        token_version: TokenVersion,
    ) -> Result<String> {
        let amr: &[&str] =
            if session.second_factor_verified { &["pwd", "sms", "mfa"] } else { &["pwd"] };
        let now = platform.now();
        let claims = JwtClaims {
            iss: self.issuer.clone(),
            sub: session.user_id.to_string(),
            sid: session.id.to_string(),
            iat: now.timestamp(),
            // Rounded up to whole seconds, so that the token is valid for the whole of `expires_in`.
            exp: (now + self.lifetime + TimeDelta::microseconds(999_999)).timestamp(),
            jti: data_encoding::BASE32_DNSSEC.encode(&platform.random::<16>()),
            amr: amr.iter().map(|&method| method.to_owned()).collect(),
            r#gen: [token_version.generation, token_version.issue],
        };
        let keys = keys.current();
        let (id, key) = keys.signer(now);
        let header = Header { kid: Some(id.to_owned()), ..Header::new(Algorithm::EdDSA) };
        encode(&header, &claims, key).map_err(Error::internal)
    }

    /// Checks signature and expiry of a token, and returns its claims.
    ///
    /// # Errors
    /// UNAUTHENTICATED.
    pub async fn verify(
        &self,
        platform: &Platform,
        keys: &SigningKeys,
        token: &str,
    ) -> Result<Claims> {
        if token.len() > MAX_TOKEN_LEN {
            return Err(not_accepted_error());
        }
        let (now, digest): (_, Hash) = (platform.now(), vault::sha256(token.as_bytes()));
        let VerifiedToken { claims, .. } = match self
            .verified
            .get(&digest)
            .filter(|cached| is_waiting(now, cached.valid_until, self.lifetime))
        {
            Some(verified) => verified,
            None => {
                let verified = self.verify_signature(platform, keys, token).await?;
                self.verified.insert(digest, verified);
                verified
            }
        };
        if platform.now() >= claims.expires_at {
            self.verified.remove(&digest);
            return Err(expired_error());
        }
        Ok(claims)
    }

    async fn verify_signature(
        &self,
        platform: &Platform,
        keys: &SigningKeys,
        token: &str,
    ) -> Result<VerifiedToken> {
        let header = decode_header(token).map_err(|_| not_accepted_error())?;
        let id =
            header.kid.filter(|_| header.alg == Algorithm::EdDSA).ok_or_else(not_accepted_error)?;
        let (now, mut key_set) = (platform.now(), keys.current());
        if key_set.verifier(&id, now, self.lifetime).is_none() {
            key_set = keys.reload_for_unknown_key(platform).await?;
        }
        let (key, key_expires_at) =
            key_set.verifier(&id, now, self.lifetime).ok_or_else(not_accepted_error)?;
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[&self.issuer]);
        validation.set_required_spec_claims(&["exp", "iss", "sub"]);
        // `verify` checks the expiry: the library would use the system's clock and allow a minute of leeway.
        validation.validate_exp = false;
        let jwt =
            decode::<JwtClaims>(token, key, &validation).map_err(|_| not_accepted_error())?.claims;
        let [generation, issue] = jwt.r#gen;
        let claims = Claims {
            user: ids::parse(&jwt.sub).ok_or_else(not_accepted_error)?,
            session: ids::parse(&jwt.sid).ok_or_else(not_accepted_error)?,
            token_version: TokenVersion { generation, issue },
            expires_at: Timestamp::from_timestamp(jwt.exp, 0).ok_or_else(not_accepted_error)?,
        };
        // A token forged with a stolen key may claim any expiry: cache it for no longer than one of ours could be
        // valid, and not beyond the expiry of its key.
        let latest = now + self.lifetime;
        let valid_until = key_expires_at.map_or(latest, |expires_at| latest.min(expires_at));
        Ok(VerifiedToken { claims, valid_until })
    }
}

/// The error for a token that has expired.
pub fn expired_error() -> Error {
    Error::unauthenticated("The access token is over. Refresh it.")
}

/// The error for a token that this instance does not recognize as ours.
pub fn not_accepted_error() -> Error {
    Error::unauthenticated("The access token is not accepted.")
}
