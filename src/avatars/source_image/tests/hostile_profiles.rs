//! Tests of hostile profiles: each is read or ignored. One that takes time without bounds hangs its test.

use image::DynamicImage;

use super::super::color_profile::convert_to_srgb;
use super::icc_profiles::{
    DISPLAY_P3, display_p3, power_curve, profile, srgb_curve, table_profile,
};
use super::{Random, noise};

/// Applies a profile to pixels of each kind.
fn apply(picture: &DynamicImage, profile: &[u8]) {
    convert_to_srgb(picture, profile);
    convert_to_srgb(&DynamicImage::from(picture.to_luma_alpha8()), profile);
}

/// Profiles of all kinds, with small and large tables.
fn profiles() -> Vec<Vec<u8>> {
    let table =
        |signature: &'static [u8; 4], content: Vec<u8>| profile(b"RGB ", &[(signature, content)]);
    let multidimensional = |channels: u8, points: u8, values: usize| {
        let mut tag = [b"mAB \0\0\0\0", &[channels, 3, 0, 0][..]].concat();
        for offset in [32_u32, 0, 0, 80, 32] {
            tag.extend(offset.to_be_bytes());
        }
        tag.extend([&b"curv\0\0\0\0\0\0\0\0"[..]; 4].concat());
        tag.extend([points; 16]);
        tag.extend([1, 0, 0, 0]);
        tag.resize(tag.len() + values, 99);
        tag
    };
    let one_byte = |points: u8| {
        let mut tag = [b"mft1\0\0\0\0\x03\x03", &[points, 0][..], &[0; 36]].concat();
        tag.resize(tag.len() + 6 * 256 + 3 * usize::from(points).pow(3), 99);
        tag
    };
    vec![
        display_p3(),
        table_profile(DISPLAY_P3),
        profile(b"GRAY", &[(b"kTRC", power_curve(2.2))]),
        table(b"A2B0", one_byte(110)),
        table(b"A2B0", one_byte(1)),
        table(b"A2B0", multidimensional(3, 17, 3 * 17 * 17 * 17)),
        table(b"A2B0", multidimensional(255, 1, 3)),
        table(b"A2B0", multidimensional(3, 255, 1000)),
    ]
}

#[test]
fn random_and_cut_profiles_do_no_harm() {
    let picture = noise(16, 16);
    let mut random = Random(3);
    for profile in profiles() {
        apply(&picture, &profile);
        for _ in 0..25 {
            apply(&picture, &profile[..random.below(profile.len())]);
            let mut changed = profile.clone();
            // Mostly where the structure is.
            let len = if random.below(4) == 0 { changed.len() } else { changed.len().min(400) };
            for _ in 0..=random.below(8) {
                changed[random.below(len)] = random.next().to_be_bytes()[0];
            }
            apply(&picture, &changed);
        }
    }
    for _ in 0..100 {
        let length = random.below(2000);
        let noise: Vec<u8> = (0..length).map(|_| random.next().to_be_bytes()[0]).collect();
        apply(&picture, &noise);
    }
}

#[test]
fn extreme_numbers_do_no_harm() {
    let picture = noise(16, 16);
    let mut random = Random(5);
    for profile in profiles() {
        let count = profile.len().min(400) / 4;
        for number in [0, 1, 0x7fff_ffff, 0x8000_0000, u32::MAX] {
            for _ in 0..4 {
                let at = 4 * random.below(count);
                let mut changed = profile.clone();
                changed[at..at + 4].copy_from_slice(&u32::to_be_bytes(number));
                apply(&picture, &changed);
            }
        }
    }
}

#[test]
fn repeated_tags_are_read_once() {
    let names: [&[u8; 4]; 6] = [b"A2B0", b"cprt", b"desc", b"rTRC", b"A2B1", b"gamt"];
    for signature in names {
        // A hundred thousand tags that name the same large content: a table, or texts that name it again.
        let count = 100_000_usize;
        let mut profile = profile(b"RGB ", &[]);
        profile[128..132].copy_from_slice(&u32::try_from(count).expect("small").to_be_bytes());
        let start = u32::try_from(132 + 12 * count).expect("small");
        let large: Vec<u8> = match signature {
            b"cprt" | b"desc" => {
                let mut texts = b"mluc\0\0\0\0\0\x01\0\0\0\0\0\x0c".to_vec();
                for _ in 0..65_536 {
                    texts.extend(b"enUS\0\x0c\0\0\0\0\0\0");
                }
                texts
            }
            b"rTRC" => {
                let mut curve = b"curv\0\0\0\0\0\0\x9c\x40".to_vec();
                curve.resize(12 + 2 * 40_000, 7);
                curve
            }
            _ => {
                let mut tag = [b"mft1\0\0\0\0\x03\x03\x60\0", &[0; 36][..]].concat();
                tag.resize(tag.len() + 6 * 256 + 3 * 96 * 96 * 96, 99);
                tag
            }
        };
        let length = u32::try_from(large.len()).expect("small").to_be_bytes();
        let tag = [&signature[..], &start.to_be_bytes(), &length].concat();
        profile.extend(tag.repeat(count));
        profile.extend(large);
        apply(&noise(16, 16), &profile);
    }
}

#[test]
fn large_pictures_are_converted_in_time() {
    let picture = noise(1024, 1024);
    for profile in [display_p3(), table_profile(DISPLAY_P3)] {
        apply(&picture, &profile);
    }
    let gray = profile(b"GRAY", &[(b"kTRC", srgb_curve())]);
    apply(&picture, &gray);
}
