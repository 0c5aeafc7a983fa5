//! The provider and the scheme of a stored connection, or of a new one.

use std::sync::Arc;

use super::catalog::{AuthScheme, Provider, Scheme};
use super::entity::connections::Model;
use super::state::Connections;
use crate::error::{Error, ErrorCode, Result, UserError};

/// The provider of a connection.
///
/// # Errors
/// UNKNOWN_PROVIDER if its entry was removed.
pub fn provider_of<'a>(connections: &'a Connections, row: &Model) -> Result<&'a Arc<Provider>> {
    connections.catalog.get(&row.provider).map_err(|_| {
        let message = format!(
            "The provider {} is no longer known here. The operator can add it to PROVIDERS_FILE again.",
            row.provider
        );
        Error::new(ErrorCode::UnknownProvider, message)
    })
}

/// The scheme of a connection.
///
/// # Errors
/// UNKNOWN_PROVIDER if its entry has lost this scheme.
pub fn scheme_of<'a>(provider: &'a Provider, row: &Model) -> Result<&'a Scheme> {
    let kind = AuthScheme::from_name(&row.scheme);
    let scheme = kind.and_then(|kind| provider.scheme(Some(kind)));
    scheme.ok_or_else(|| {
        let message = format!("The provider no longer has the scheme {}.", row.scheme);
        Error::new(ErrorCode::UnknownProvider, message)
    })
}

/// The scheme of this kind, or the provider's default one.
///
/// # Errors
/// BAD_USER_INPUT at `scheme`, with those that there are.
pub fn choose_scheme(provider: &Provider, kind: Option<AuthScheme>) -> Result<&Scheme, UserError> {
    provider.scheme(kind).ok_or_else(|| {
        let names: Vec<&str> = provider.schemes.iter().map(|scheme| scheme.kind.name()).collect();
        let message = format!("{} has these schemes: {}.", provider.name, names.join(", "));
        UserError::bad_input(message).for_field("scheme")
    })
}
