//! The guard before every use of a connection. A wrong secret, a missing one and an unknown reference get the same answer
//! after the same work: one lookup and one comparison.

use std::net::IpAddr;
use std::ops::Deref;

use secrecy::SecretString;
use uuid::Uuid;

use super::entity::connections::{self, Model};
use super::secret::is_secret_of;
use super::state::Connections;
use crate::error::{Error, Result};
use crate::ids::{ConnectionId, parse};
use crate::platform::Platform;
use crate::platform::rate_limiter::rate_limit_network;

/// What a caller shows to use a connection.
#[derive(Clone, Debug)]
pub struct Access {
    /// The reference.
    pub reference: String,
    /// The secret, if one came with the request.
    pub secret: Option<SecretString>,
    /// Where the request comes from.
    pub address: IpAddr,
}

/// A connection whose secret the caller has. Only [`authorize`] makes one.
#[derive(Clone, Debug)]
pub struct AuthorizedConnection(Model);

impl Deref for AuthorizedConnection {
    type Target = Model;

    fn deref(&self) -> &Model {
        &self.0
    }
}

impl AuthorizedConnection {
    /// The connection as it is in the database, for an answer.
    pub fn into_row(self) -> Model {
        self.0
    }
}

/// Lets the caller use a connection if they have its secret.
///
/// # Errors
/// NOT_FOUND; RATE_LIMITED after too many wrong secrets from one address.
pub async fn authorize(
    connections: &Connections,
    platform: &Platform,
    access: &Access,
) -> Result<AuthorizedConnection> {
    let (limiter, address) =
        (&connections.wrong_secret_limiter, rate_limit_network(access.address));
    limiter.check(platform.uptime(), &address)?;
    // A text that is not a reference is looked up as well, as the reference of no connection: the work is the same.
    let id = parse(&access.reference).unwrap_or(ConnectionId::from(Uuid::nil()));
    let connection = connections::find(platform.database.reads(), id).await?;
    let stored_hash = connection.as_ref().map(|connection| connection.secret_hash.as_slice());
    let is_authorized = is_secret_of(stored_hash, access.secret.as_ref());
    match connection {
        Some(connection) if is_authorized => Ok(AuthorizedConnection(connection)),
        _ => {
            limiter.record(platform.uptime(), &address);
            Err(not_found())
        }
    }
}

/// As [`authorize`], for a call to the provider, which counts towards the limit of the connection.
///
/// # Errors
/// As [`authorize`]; RATE_LIMITED after too many calls of this connection.
pub async fn authorize_call(
    connections: &Connections,
    platform: &Platform,
    access: &Access,
) -> Result<AuthorizedConnection> {
    let connection = authorize(connections, platform, access).await?;
    connections.call_limiter.acquire(platform.uptime(), &connection.id)?;
    Ok(connection)
}

/// The answer when there is no such connection, or the secret is not its own.
pub fn not_found() -> Error {
    Error::not_found("connection")
}
