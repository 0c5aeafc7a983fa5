//! Egress policy: where a request may go, and within which limits.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use url::{Host, Url};

use super::address_guard::AddressGuard;
use super::host_pattern::{AllowedAddress, HostPattern};
use super::rule::EgressRule;

/// Maximum length of a name in DNS, with its final dot.
const MAX_NAME_LEN: usize = 254;

/// Where a request may go, and within which limits. The default allows nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EgressPolicy {
    /// Where requests may go. Policies with equal destinations share connections, others never do.
    pub destinations: Arc<Destinations>,
    /// Which redirects are followed.
    pub redirects: Redirects,
    /// For `call`: time for all of it, with connecting and redirects. For `stream`: time until the head of the
    /// response, counted again from each part of a streamed request body.
    pub timeout: Duration,
    /// Maximum length of the response's body in bytes.
    pub max_response_bytes: usize,
    /// For `stream`: maximum time between two parts of the response's body.
    pub idle_timeout: Duration,
    /// Whether the operator has chosen the server. Any other may try to keep this process busy.
    pub is_trusted: bool,
}

/// Where requests may go. The default allows nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Destinations {
    /// The schemes.
    pub schemes: Schemes,
    /// The hosts. None allows nothing.
    pub hosts: Vec<HostPattern>,
    /// The addresses that are allowed besides the public ones.
    pub allowed_addresses: Vec<AllowedAddress>,
}

/// Which schemes are allowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Schemes {
    /// Only `https`.
    #[default]
    Https,
    /// `http` and `https`.
    HttpAndHttps,
}

/// Which redirects are followed. Each hop is checked like the first request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Redirects {
    /// None: the redirect itself is the response.
    #[default]
    None,
    /// At most `max` redirects, to the same scheme, host and port. Others are refused.
    SameOrigin {
        /// Maximum number.
        max: u32,
    },
    /// At most `max` redirects, to any allowed destination. Another origin gets no credentials and no body.
    AnyAllowed {
        /// Maximum number.
        max: u32,
    },
}

static NOWHERE: LazyLock<Arc<Destinations>> = LazyLock::new(Arc::default);
static PUBLIC: LazyLock<Arc<Destinations>> = LazyLock::new(|| {
    Arc::new(Destinations { hosts: vec![HostPattern::ANY], ..Destinations::default() })
});
static ANYWHERE: LazyLock<Arc<Destinations>> = LazyLock::new(|| {
    let everything = [IpNet::V4(Ipv4Net::default()), IpNet::V6(Ipv6Net::default())];
    Arc::new(Destinations {
        schemes: Schemes::HttpAndHttps,
        hosts: vec![HostPattern::ANY],
        allowed_addresses: everything.map(AllowedAddress::Network).into(),
    })
});

impl Default for EgressPolicy {
    fn default() -> Self {
        Self {
            destinations: NOWHERE.clone(),
            redirects: Redirects::None,
            timeout: Duration::from_secs(15),
            max_response_bytes: 1024 * 1024,
            idle_timeout: Duration::from_mins(1),
            is_trusted: false,
        }
    }
}

impl EgressPolicy {
    /// Any public host by https: for URLs that users name.
    pub fn public() -> Self {
        Self { destinations: PUBLIC.clone(), ..Self::default() }
    }

    /// Any host and address, by http or https: only for URLs that the operator's settings name.
    pub fn operator() -> Self {
        Self { destinations: ANYWHERE.clone(), is_trusted: true, ..Self::default() }
    }
}

impl Destinations {
    /// Checks a URL. Returns the guard for the addresses of its host.
    pub(super) fn check(&self, url: &Url) -> Result<AddressGuard, EgressRule> {
        match url.scheme() {
            "https" => {}
            "http" if self.schemes == Schemes::HttpAndHttps => {}
            _ => return Err(EgressRule::Scheme),
        }
        let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
            return Err(EgressRule::Host);
        };
        let is_name_too_long = matches!(host, Host::Domain(name) if name.len() > MAX_NAME_LEN);
        if is_name_too_long || !self.hosts.iter().any(|pattern| pattern.matches(&host, port)) {
            return Err(EgressRule::Host);
        }
        let guard = self.address_guard(&host, port);
        // The HTTP client asks the resolver only for names. `Url` has normalized every notation of an address.
        match host {
            Host::Domain(_) => {}
            Host::Ipv4(address) => guard.check(address.into())?,
            Host::Ipv6(address) => guard.check(address.into())?,
        }
        Ok(guard)
    }

    fn address_guard(&self, host: &Host<&str>, port: u16) -> AddressGuard {
        let mut guard = AddressGuard { allows_private: false, networks: Vec::new() };
        for allowed in &self.allowed_addresses {
            match allowed {
                AllowedAddress::Host(pattern) => {
                    guard.allows_private |= pattern.matches(host, port);
                }
                AllowedAddress::Network(network) => guard.networks.push(*network),
                AllowedAddress::Socket(address, allowed) if *allowed == port => {
                    guard.networks.push((*address).into());
                }
                AllowedAddress::Socket(..) => {}
            }
        }
        guard
    }

    /// Whether every host is allowed, at every port.
    pub(super) fn allows_any_host(&self) -> bool {
        self.hosts.contains(&HostPattern::ANY)
    }
}
