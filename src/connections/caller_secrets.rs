//! The secrets that come with a request besides those in arguments, and the address that it comes from.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use secrecy::SecretString;
use serde_json::{Map, Value};

use super::guard::Access;

/// The header with the secret of a connection.
pub const SECRET_HEADER: &str = "connection-secret";
/// The member of `connection_init` with the secrets of connections by their references.
const INIT_MEMBER: &str = "connectionSecrets";
/// Maximum number of secrets of one socket. Further ones are not kept.
const MAX_SECRETS: usize = 100;

/// The secrets of a request or socket.
#[derive(Clone, Debug)]
pub struct CallerSecrets {
    address: IpAddr,
    header: Option<SecretString>,
    by_reference: Arc<BTreeMap<String, SecretString>>,
}

impl Default for CallerSecrets {
    fn default() -> Self {
        Self::new(Ipv4Addr::LOCALHOST.into(), None)
    }
}

impl CallerSecrets {
    /// The secret in the header `Connection-Secret` of a request from this address.
    pub fn new(address: IpAddr, header: Option<&str>) -> Self {
        Self { address, header: header.map(SecretString::from), by_reference: Arc::default() }
    }

    /// Adds the secrets in the payload of `connection_init`.
    pub fn add_init_payload(&mut self, payload: &Map<String, Value>) {
        let members = payload.get(INIT_MEMBER).and_then(Value::as_object).into_iter().flatten();
        let secrets = members.filter_map(|(reference, secret)| {
            Some((reference.clone(), SecretString::from(secret.as_str()?)))
        });
        let secrets: BTreeMap<_, _> = secrets.take(MAX_SECRETS).collect();
        if !secrets.is_empty() {
            self.by_reference = Arc::new(secrets);
        }
    }

    /// The address of the request.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// What a caller shows to use a connection: the secret in the argument, else the one of the socket for this
    /// reference, else the one in the header.
    pub fn access(&self, reference: &str, argument: Option<&str>) -> Access {
        let argument = argument.map(SecretString::from);
        let of_socket = || self.by_reference.get(reference).cloned();
        let secret = argument.or_else(of_socket).or_else(|| self.header.clone());
        Access { reference: reference.to_owned(), secret, address: self.address }
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;
    use serde_json::json;

    use super::*;

    #[test]
    fn an_argument_goes_before_a_socket_and_a_socket_before_a_header() {
        let mut secrets = CallerSecrets::new(Ipv4Addr::LOCALHOST.into(), Some("header"));
        let payload = json!({ "connectionSecrets": { "a": "socket", "b": 1 } });
        secrets.add_init_payload(payload.as_object().expect("an object"));
        for (reference, argument, expected) in
            [("a", Some("argument"), "argument"), ("a", None, "socket"), ("b", None, "header")]
        {
            let secret = secrets.access(reference, argument).secret.expect("a secret");
            assert_eq!(secret.expose_secret(), expected);
        }
        let text = format!("{secrets:?}");
        assert!(!text.contains("header\"") && !text.contains("socket"), "{text}");
    }
}
