//! Providers as data: the entries of `providers.toml` and of PROVIDERS_FILE, read and checked at start.
//!
//! [`ProviderCatalog`] has them all. [`Provider`] describes one: its URLs, its forms and its token endpoint.
//! [`CredentialSet`] is what a caller gives for one of its forms.

mod base_url;
mod credential_set;
mod entry;
mod field;
mod nearest;
mod parse;
mod parse_scheme;
mod problems;
mod provider;
mod provider_catalog;
mod templates;

pub use base_url::Target;
pub use credential_set::{CredentialSet, invalid};
pub use field::{CredentialKey, Field};
pub use provider::{
    AuthScheme, BodyFormat, ClientAuth, Placement, Provider, Scheme, TokenEndpoint,
};
pub use provider_catalog::{CatalogSettings, ProviderCatalog};
