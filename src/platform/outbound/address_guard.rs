//! Check of the addresses that a connection may go to.

use std::net::IpAddr;

use ipnet::IpNet;

use super::address::{AddressClass, classify};
use super::rule::EgressRule;

/// Which addresses besides the public ones may be connected to, for one host and port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AddressGuard {
    /// Whether the host may be on this machine or in a private network.
    pub(super) allows_private: bool,
    /// Networks that are allowed whatever their class.
    pub(super) networks: Vec<IpNet>,
}

impl AddressGuard {
    /// Checks an address.
    pub(super) fn check(&self, address: IpAddr) -> Result<(), EgressRule> {
        let range = match classify(address) {
            AddressClass::Public => return Ok(()),
            AddressClass::Private(_) if self.allows_private => return Ok(()),
            AddressClass::Private(range) | AddressClass::Reserved(range) => range,
        };
        let address = address.to_canonical();
        match self.networks.iter().any(|network| network.contains(&address)) {
            true => Ok(()),
            false => Err(EgressRule::Address(range)),
        }
    }

    /// Keeps the allowed addresses of a host. Fails if it has others only.
    pub(super) fn filter(&self, addresses: Vec<IpAddr>) -> Result<Vec<IpAddr>, EgressRule> {
        let mut refused = None;
        let mut allowed = addresses;
        allowed.retain(|address| match self.check(*address) {
            Ok(()) => true,
            Err(rule) => {
                refused = Some(rule);
                false
            }
        });
        match refused {
            Some(rule) if allowed.is_empty() => Err(rule),
            _ => Ok(allowed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(allows_private: bool, networks: &[&str]) -> AddressGuard {
        let networks = networks.iter().map(|network| network.parse().expect("a network"));
        AddressGuard { allows_private, networks: networks.collect() }
    }

    #[test]
    fn only_public_and_listed_addresses_are_allowed() {
        let range = |guard: &AddressGuard, address: &str| match guard
            .check(address.parse().expect("an address"))
        {
            Ok(()) => "allowed",
            Err(EgressRule::Address(range)) => range,
            Err(rule) => panic!("{rule}"),
        };
        let (strict, private) = (guard(false, &[]), guard(true, &[]));
        let listed = guard(false, &["10.0.0.0/8", "::1/128", "169.254.0.0/16"]);
        for (address, in_strict, in_private, in_listed) in [
            ("8.8.8.8", "allowed", "allowed", "allowed"),
            ("10.0.0.1", "private network", "allowed", "allowed"),
            ("::ffff:10.0.0.1", "private network", "allowed", "allowed"),
            ("127.0.0.1", "loopback", "allowed", "loopback"),
            ("::1", "loopback", "allowed", "allowed"),
            ("169.254.169.254", "cloud metadata", "cloud metadata", "allowed"),
            ("ff02::1", "multicast", "multicast", "multicast"),
        ] {
            assert_eq!(range(&strict, address), in_strict, "{address}");
            assert_eq!(range(&private, address), in_private, "{address}");
            assert_eq!(range(&listed, address), in_listed, "{address}");
        }
    }

    #[test]
    fn private_addresses_of_a_public_host_are_dropped() {
        let filter = |addresses: &[&str]| {
            let addresses = addresses.iter().map(|address| address.parse().expect("an address"));
            let kept = guard(false, &[]).filter(addresses.collect());
            kept.map(|kept| kept.iter().map(IpAddr::to_string).collect::<Vec<_>>())
        };
        assert_eq!(filter(&["10.0.0.1", "8.8.8.8", "::1"]), Ok(vec!["8.8.8.8".to_owned()]));
        assert_eq!(filter(&["10.0.0.1"]), Err(EgressRule::Address("private network")));
        assert_eq!(filter(&[]), Ok(Vec::new()));
    }
}
