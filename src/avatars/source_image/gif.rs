//! The blocks of a GIF (GIF89a).

use super::outline::Outline;
use super::reader::Reader;

const EXTENSION: u8 = 0x21;
const IMAGE: u8 = 0x2c;
/// Where the size of the screen stands: width and height.
const SCREEN_SIZE_OFFSET: usize = 6;

/// The frames and the end of a GIF. None: it has no frame, or is cut off within a block. As for browsers, it ends where
/// no further block begins, with or without its trailer.
pub fn outline(file: &[u8]) -> Option<Outline<'_>> {
    let mut reader = skip_header(file)?;
    let mut frames = 0;
    while let Some(block @ (EXTENSION | IMAGE)) = reader.rest().first().copied() {
        skip_block(&mut reader)?;
        frames += usize::from(block == IMAGE);
    }
    (frames > 0).then_some(Outline { parts: frames, picture: reader.read() })
}

/// Makes the screen as large as the first frame, as browsers do if it is smaller, so that the size of the screen bounds
/// what is decoded.
pub fn enlarge_screen(mut picture: Vec<u8>) -> Vec<u8> {
    let Some(frame) = first_frame_offset(&picture) else { return picture };
    let number = |at: usize| u16::from_le_bytes([picture[at], picture[at + 1]]);
    let (position, size) = (frame + 1..frame + 5, frame + 5..frame + 9);
    if number(size.start) > number(SCREEN_SIZE_OFFSET)
        || number(size.start + 2) > number(SCREEN_SIZE_OFFSET + 2)
    {
        picture.copy_within(size, SCREEN_SIZE_OFFSET);
        picture[position].fill(0);
    }
    picture
}

fn first_frame_offset(picture: &[u8]) -> Option<usize> {
    let mut reader = skip_header(picture)?;
    while *reader.rest().first()? == EXTENSION {
        skip_block(&mut reader)?;
    }
    Some(reader.read().len())
}

/// A reader behind signature, screen and colours.
fn skip_header(file: &[u8]) -> Option<Reader<'_>> {
    let mut reader = Reader::new(file, SCREEN_SIZE_OFFSET);
    let screen: [u8; 7] = reader.take_array()?;
    reader.take(color_table_len(screen[4]))?;
    Some(reader)
}

fn color_table_len(flags: u8) -> usize {
    if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) }
}

/// Skips an extension, or a frame with its colours.
fn skip_block(reader: &mut Reader<'_>) -> Option<()> {
    if reader.take_byte()? == IMAGE {
        let frame: [u8; 9] = reader.take_array()?;
        reader.take(color_table_len(frame[8]))?;
    }
    // The label of an extension, or the code size of a frame.
    reader.take_byte()?;
    loop {
        match reader.take_byte()? {
            0 => return Some(()),
            length => reader.take(usize::from(length))?,
        };
    }
}
