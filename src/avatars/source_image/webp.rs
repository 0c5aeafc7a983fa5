//! The chunks of a WebP (RFC 9649).

use super::outline::Outline;
use super::reader::Reader;

/// The frames and the end of a WebP. None: it is cut off.
pub fn outline(file: &[u8]) -> Option<Outline<'_>> {
    let mut header = Reader::new(file, 4);
    let length = usize::try_from(u32::from_le_bytes(header.take_array()?)).ok()?;
    let picture = file.get(..length.checked_add(8)?)?;
    let (mut reader, mut frames) = (Reader::new(picture, 0), 0);
    reader.take(12)?;
    while !reader.rest().is_empty() {
        let kind = skip_chunk(&mut reader)?;
        frames += usize::from(kind == *b"ANMF");
    }
    Some(Outline { parts: frames, picture })
}

/// Skips the next chunk and tells its type.
fn skip_chunk(reader: &mut Reader<'_>) -> Option<[u8; 4]> {
    let kind = reader.take_array()?;
    let length = usize::try_from(u32::from_le_bytes(reader.take_array()?)).ok()?;
    reader.take(length)?;
    // Some encoders omit the padding after an odd length at the end of the file.
    reader.take((length % 2).min(reader.rest().len()))?;
    Some(kind)
}
