//! The chunks of a PNG (PNG specification, third edition).

use std::io::Read;

use flate2::read::ZlibDecoder;

use super::color_profile::MAX_PROFILE_BYTES;
use super::outline::Outline;
use super::reader::Reader;

/// The first bytes of a PNG.
pub const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
/// The last chunk, which has no content.
const END: &[u8] = b"\0\0\0\0IEND\xae\x42\x60\x82";

/// The frames and the end of a PNG. None: it is cut off before its last chunk. Without that one, nothing of the picture
/// is missing.
pub fn outline(file: &[u8]) -> Option<Outline<'_>> {
    let (mut reader, mut frames) = (Reader::new(file, SIGNATURE.len()), 0);
    while !END.starts_with(reader.rest()) {
        match next_chunk(&mut reader)? {
            (b"IEND", _) => break,
            (b"fcTL", _) => frames += 1,
            _ => {}
        }
    }
    Some(Outline { parts: frames, picture: reader.read() })
}

/// The next chunk: its type, and all its bytes.
fn next_chunk<'f>(reader: &mut Reader<'f>) -> Option<(&'f [u8], &'f [u8])> {
    let rest = reader.rest();
    let length = usize::try_from(u32::from_be_bytes(reader.take_array()?)).ok()?;
    let kind = reader.take(4)?;
    reader.take(length.checked_add(4)?)?;
    Some((kind, &rest[..length + 12]))
}

fn chunks(picture: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut reader = Reader::new(picture, SIGNATURE.len());
    std::iter::from_fn(move || next_chunk(&mut reader))
}

/// A PNG reduced to its pixels and orientation. Compressed profiles and texts could unpack to any size.
pub fn strip(picture: &[u8]) -> Vec<u8> {
    const ALLOWED_CHUNKS: [&[u8]; 5] = [b"IHDR", b"PLTE", b"tRNS", b"eXIf", b"IDAT"];
    let kept = chunks(picture).filter(|(kind, _)| ALLOWED_CHUNKS.contains(kind));
    let parts = std::iter::once(SIGNATURE).chain(kept.map(|(_, chunk)| chunk)).chain([END]);
    parts.collect::<Vec<_>>().concat()
}

/// The ICC profile, unpacked up to a byte more than may be. None: there is none, or it is damaged. Descriptions by
/// numbers are not read: those of gAMA and cHRM nearly always stand for sRGB, and viewers differ over them.
pub fn profile(picture: &[u8]) -> Option<Vec<u8>> {
    let mut chunks = chunks(picture).take_while(|(kind, _)| *kind != b"IDAT");
    let (_, chunk) = chunks.find(|(kind, _)| *kind == b"iCCP")?;
    // Between length, type and checksum: a name, zero, the method of compression, and the compressed profile.
    let content = &chunk[8..chunk.len() - 4];
    let name_end = content.iter().position(|byte| *byte == 0)?;
    let [0, compressed @ ..] = &content[name_end + 1..] else { return None };
    let mut profile = Vec::new();
    let max = MAX_PROFILE_BYTES as u64 + 1;
    ZlibDecoder::new(compressed).take(max).read_to_end(&mut profile).ok()?;
    Some(profile)
}
