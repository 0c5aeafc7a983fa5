//! Classification of IP addresses: which ones belong to the public internet.
//!
//! The ranges are those of IANA's special-purpose registries for IPv4 and IPv6 (RFC 6890), and the addresses at which
//! cloud providers answer their machines' questions about credentials.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

/// Where an address leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressClass {
    /// To a host of the public internet.
    Public,
    /// To this machine or a private network. Has the name of the range.
    Private(&'static str),
    /// To no host that a name should lead to: metadata, link-local, multicast, documentation, … Has the name of the
    /// range.
    Reserved(&'static str),
}

use AddressClass::{Private, Public, Reserved};

const METADATA: AddressClass = Reserved("cloud metadata");

/// The first range that contains the address decides. An address in none is public.
const IPV4_RANGES: &[(Ipv4Net, AddressClass)] = &[
    // AWS, Google, Azure and most others; ECS; EKS; Alibaba; Oracle; Azure's wire server.
    (v4([169, 254, 169, 254], 32), METADATA),
    (v4([169, 254, 170, 2], 32), METADATA),
    (v4([169, 254, 170, 23], 32), METADATA),
    (v4([100, 100, 100, 200], 32), METADATA),
    (v4([192, 0, 0, 192], 32), METADATA),
    (v4([168, 63, 129, 16], 32), METADATA),
    (v4([127, 0, 0, 0], 8), Private("loopback")),
    (v4([10, 0, 0, 0], 8), Private("private network")),
    (v4([172, 16, 0, 0], 12), Private("private network")),
    (v4([192, 168, 0, 0], 16), Private("private network")),
    (v4([100, 64, 0, 0], 10), Private("carrier-grade NAT")),
    (v4([0, 0, 0, 0], 8), Reserved("this network")),
    (v4([169, 254, 0, 0], 16), Reserved("link-local")),
    (v4([192, 0, 0, 0], 24), Reserved("protocol assignments")),
    (v4([192, 0, 2, 0], 24), Reserved("documentation")),
    (v4([198, 51, 100, 0], 24), Reserved("documentation")),
    (v4([203, 0, 113, 0], 24), Reserved("documentation")),
    (v4([192, 88, 99, 0], 24), Reserved("6to4 relay")),
    (v4([198, 18, 0, 0], 15), Reserved("benchmarking")),
    (v4([224, 0, 0, 0], 4), Reserved("multicast")),
    (v4([255, 255, 255, 255], 32), Reserved("broadcast")),
    (v4([240, 0, 0, 0], 4), Reserved("reserved")),
];

/// The first range that contains the address decides. An address in none is reserved.
const IPV6_RANGES: &[(Ipv6Net, AddressClass)] = &[
    // AWS; Google.
    (v6([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254], 128), METADATA),
    (v6([0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254], 128), METADATA),
    (v6([0, 0, 0, 0, 0, 0, 0, 1], 128), Private("loopback")),
    (v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7), Private("unique local")),
    (v6([0, 0, 0, 0, 0, 0, 0, 0], 128), Reserved("unspecified")),
    (v6([0, 0, 0, 0, 0, 0, 0, 0], 96), Reserved("IPv4-compatible")),
    (v6([0, 0, 0, 0, 0xffff, 0, 0, 0], 96), Reserved("IPv4-translated")),
    (v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48), Reserved("NAT64 of a private network")),
    (v6([0x100, 0, 0, 0, 0, 0, 0, 0], 64), Reserved("discard")),
    (v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10), Reserved("link-local")),
    (v6([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10), Reserved("site-local")),
    (v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8), Reserved("multicast")),
    (v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 32), Reserved("Teredo")),
    (v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), Reserved("protocol assignments")),
    (v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32), Reserved("documentation")),
    (v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), Reserved("documentation")),
    (v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16), Reserved("6to4")),
    // All that IANA has given out as global unicast.
    (v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3), Public),
];

/// NAT64's well-known prefix (RFC 6052). Networks without IPv4 reach public IPv4 hosts by it.
const NAT64: Ipv6Net = v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96);

const fn v4([a, b, c, d]: [u8; 4], prefix_len: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix_len)
}

const fn v6(s: [u16; 8], prefix_len: u8) -> Ipv6Net {
    let address = Ipv6Addr::new(s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7]);
    Ipv6Net::new_assert(address, prefix_len)
}

/// Classifies an address. An IPv4 address inside of an IPv6 address counts as what a packet would reach.
pub fn classify(address: IpAddr) -> AddressClass {
    match address.to_canonical() {
        IpAddr::V4(address) => classify_v4(address),
        IpAddr::V6(address) => classify_v6(address),
    }
}

fn classify_v4(address: Ipv4Addr) -> AddressClass {
    let range = IPV4_RANGES.iter().find(|(range, _)| range.contains(&address));
    range.map_or(Public, |(_, class)| *class)
}

fn classify_v6(address: Ipv6Addr) -> AddressClass {
    if NAT64.contains(&address) {
        return match classify_v4(embedded_v4(address)) {
            Public => Public,
            _ => Reserved("NAT64 of a non-public address"),
        };
    }
    let range = IPV6_RANGES.iter().find(|(range, _)| range.contains(&address));
    let class = range.map_or(Reserved("unassigned"), |(_, class)| *class);
    let is_isatap = matches!(address.segments()[4..6], [0 | 0x200, 0x5efe]);
    match class {
        Public if is_isatap && classify_v4(embedded_v4(address)) != Public => {
            Reserved("ISATAP of a non-public address")
        }
        class => class,
    }
}

/// The IPv4 address in the last four bytes.
fn embedded_v4(address: Ipv6Addr) -> Ipv4Addr {
    let [.., a, b, c, d] = address.octets();
    Ipv4Addr::new(a, b, c, d)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn class_of(address: &str) -> AddressClass {
        classify(address.parse().expect("an address"))
    }

    #[test]
    fn every_special_range_is_recognised() {
        for (addresses, expected) in [
            (
                &["1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.0", "172.15.255.255"][..],
                Public,
            ),
            (&["172.32.0.0", "192.167.255.255", "198.17.255.255", "198.20.0.0"], Public),
            (&["169.253.255.255", "169.255.0.0", "223.255.255.255", "::ffff:8.8.8.8"], Public),
            (&["2606:4700:4700::1111", "2a00::1", "2001:200::1", "64:ff9b::8.8.8.8"], Public),
            (&["2606:4700::200:5efe:8.8.8.8"], Public),
            (&["127.0.0.1", "127.255.255.255", "::1", "::ffff:127.0.0.1"], Private("loopback")),
            (&["10.0.0.0", "172.16.0.0", "172.31.255.255"], Private("private network")),
            (&["192.168.0.1", "::ffff:10.255.255.255"], Private("private network")),
            (&["100.64.0.0", "100.127.255.255"], Private("carrier-grade NAT")),
            (&["fc00::", "fd12:3456::1", "fdff:ffff::"], Private("unique local")),
            (&["169.254.169.254", "169.254.170.2", "169.254.170.23"], METADATA),
            (&["100.100.100.200", "192.0.0.192", "168.63.129.16"], METADATA),
            (&["fd00:ec2::254", "fd20:ce::254", "::ffff:169.254.169.254"], METADATA),
            (&["0.0.0.0", "0.255.255.255"], Reserved("this network")),
            (&["169.254.0.1", "fe80::1", "febf::1"], Reserved("link-local")),
            (&["192.0.2.1", "198.51.100.1", "203.0.113.1"], Reserved("documentation")),
            (&["2001:db8::1", "3fff::1", "3fff:fff::1"], Reserved("documentation")),
            (&["192.0.0.1", "2001:20::1", "2001:1ff::1"], Reserved("protocol assignments")),
            (&["198.18.0.0", "198.19.255.255"], Reserved("benchmarking")),
            (&["224.0.0.1", "239.255.255.255", "ff02::1"], Reserved("multicast")),
            (&["240.0.0.1", "255.255.255.254"], Reserved("reserved")),
            (&["255.255.255.255"], Reserved("broadcast")),
            (&["192.88.99.1"], Reserved("6to4 relay")),
            (&["::"], Reserved("unspecified")),
            (&["::127.0.0.1", "::8.8.8.8"], Reserved("IPv4-compatible")),
            (&["::ffff:0:127.0.0.1", "::ffff:0:8.8.8.8"], Reserved("IPv4-translated")),
            (&["2002:7f00:1::", "2002:808:808::1"], Reserved("6to4")),
            (&["2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2"], Reserved("Teredo")),
            (
                &["64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe"],
                Reserved("NAT64 of a non-public address"),
            ),
            (&["64:ff9b:1::8.8.8.8"], Reserved("NAT64 of a private network")),
            (&["2606:4700::5efe:10.0.0.1"], Reserved("ISATAP of a non-public address")),
            (&["2606:4700::200:5efe:127.0.0.1"], Reserved("ISATAP of a non-public address")),
            (&["100::1"], Reserved("discard")),
            (&["fec0::1"], Reserved("site-local")),
            (&["5f00::1", "4000::", "1::1", "e000::1", "64:ff9b:2::1"], Reserved("unassigned")),
        ] {
            for address in addresses {
                assert_eq!(class_of(address), expected, "{address}");
            }
        }
    }

    /// What stands before an IPv4 address: mapped, NAT64, compatible, and ISATAP with a public prefix.
    const PREFIXES: [u128; 5] = [
        0xffff << 32,
        0x64_ff9b << 96,
        0,
        0x2a00 << 112 | 0x5efe << 32,
        0x2a00 << 112 | 0x0200_5efe << 32,
    ];

    proptest! {
        #[test]
        fn an_embedded_address_is_never_more_public_than_itself(
            v4: u32,
            network in 0..IPV4_RANGES.len(),
            prefix in prop::sample::select(&PREFIXES),
        ) {
            // Any address, and one of a special range.
            let (range, _) = IPV4_RANGES[network];
            let special = u32::from(range.network()) | v4 & u32::from(range.hostmask());
            for v4 in [v4, special] {
                let embedded = Ipv6Addr::from(prefix | u128::from(v4)).into();
                if classify_v4(v4.into()) != Public {
                    prop_assert_ne!(classify(embedded), Public);
                }
                let in_6to4 = Ipv6Addr::from(0x2002 << 112 | u128::from(v4) << 80).into();
                prop_assert_ne!(classify(in_6to4), Public);
            }
        }
    }
}
