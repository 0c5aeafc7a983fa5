//! The chunks of a WebP (RFC 9649).

use super::outline::Outline;
use super::reader::Reader;

/// The flag of the first chunk that announces a profile.
const PROFILE_FLAG: u8 = 0x20;

/// The frames and the end of a WebP. None: it is cut off.
pub fn outline(file: &[u8]) -> Option<Outline<'_>> {
    let mut header = Reader::new(file, 4);
    let length = usize::try_from(u32::from_le_bytes(header.take_array()?)).ok()?;
    let picture = file.get(..length.checked_add(8)?)?;
    let (mut reader, mut frames) = (Reader::new(picture, 0), 0);
    reader.take(12)?;
    while !reader.rest().is_empty() {
        let (kind, _) = next_chunk(&mut reader)?;
        frames += usize::from(kind == *b"ANMF");
    }
    Some(Outline { parts: frames, picture })
}

/// The next chunk: its type and its content.
fn next_chunk<'f>(reader: &mut Reader<'f>) -> Option<([u8; 4], &'f [u8])> {
    let kind = reader.take_array()?;
    let length = usize::try_from(u32::from_le_bytes(reader.take_array()?)).ok()?;
    let content = reader.take(length)?;
    // Some encoders omit the padding after an odd length at the end of the file.
    reader.take((length % 2).min(reader.rest().len()))?;
    Some((kind, content))
}

/// The ICC profile. None: there is none.
pub fn profile(picture: &[u8]) -> Option<Vec<u8>> {
    let mut reader = Reader::new(picture, 12);
    let (kind, header) = next_chunk(&mut reader)?;
    if kind != *b"VP8X" || header.first()? & PROFILE_FLAG == 0 {
        return None;
    }
    let mut chunks = std::iter::from_fn(|| next_chunk(&mut reader));
    let (_, profile) = chunks.find(|(kind, _)| kind == b"ICCP")?;
    Some(profile.to_vec())
}
