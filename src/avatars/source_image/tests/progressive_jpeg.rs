//! A writer of small progressive JPEGs (ITU-T T.81, annex G), which no library of ours has.

use super::{Random, jpeg_segment};

/// Each has a code of four bits. None consists of ones alone, as none may.
const SYMBOLS: [u8; 11] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10];

/// Bits of a scan, with a zero behind each byte 0xFF.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    pending: String,
}

impl Bits {
    fn push(&mut self, value: usize, length: usize) {
        for bit in (0..length).rev() {
            self.pending.push(if (value >> bit) & 1 == 1 { '1' } else { '0' });
        }
        while self.pending.len() >= 8 {
            let rest = self.pending.split_off(8);
            let byte = u8::from_str_radix(&self.pending, 2).expect("bits");
            self.bytes.push(byte);
            if byte == 0xff {
                self.bytes.push(0);
            }
            self.pending = rest;
        }
    }

    /// A number by its length in bits, and its bits: those of a negative one are inverted.
    fn push_number(&mut self, number: i32) {
        let length = number.unsigned_abs().checked_ilog2().map_or(0, |bits| bits + 1);
        let bits = if number < 0 { number + (1 << length) - 1 } else { number };
        self.push(length as usize, 4);
        self.push(usize::try_from(bits).expect("not negative"), length as usize);
    }

    fn finish(mut self) -> Vec<u8> {
        self.push(0x7f, 7);
        self.bytes
    }
}

/// A gray picture of this many blocks of eight by eight in a row and in a column, without its end marker; and where its
/// last scan begins. It has restarts after so many blocks each, if not 0.
pub fn progressive_jpeg(side: usize, interval: u16) -> (Vec<u8>, usize) {
    let mut random = Random(7);
    // The first coefficient of each block, and the second.
    let blocks: Vec<[i32; 2]> = (0..side * side)
        .map(|_| [800, 200].map(|range| i32::try_from(random.below(range)).expect("small") - 100))
        .collect();
    let pixels = u16::try_from(8 * side).expect("small").to_be_bytes();
    let frame = [&[8][..], &pixels, &pixels, &[1, 1, 0x11, 0]].concat();
    let mut file = [
        b"\xff\xd8".to_vec(),
        jpeg_segment(0xdb, &[&[0][..], &[1; 64]].concat()),
        jpeg_segment(0xc2, &frame),
        jpeg_segment(0xdd, &interval.to_be_bytes()),
    ]
    .concat();
    for class in [0x00, 0x10] {
        let mut table = vec![class, 0, 0, 0, 11];
        table.extend([0; 12]);
        table.extend(SYMBOLS);
        file.extend(jpeg_segment(0xc4, &table));
    }
    let interval = if interval == 0 { blocks.len() } else { interval.into() };
    let scan = |first: u8, last: u8, precision: u8, write: &dyn Fn(&mut Bits, &[[i32; 2]])| {
        let header = jpeg_segment(0xda, &[1, 1, 0, first, last, precision]);
        let intervals = blocks.chunks(interval).map(|blocks| {
            let mut bits = Bits::default();
            write(&mut bits, blocks);
            bits.finish()
        });
        [header, intervals.collect::<Vec<_>>().join(&b"\xff\xd0"[..])].concat()
    };
    // The first coefficients without their last bit, as differences.
    file.extend(scan(0, 0, 0x01, &|bits, blocks| {
        let mut previous = 0;
        for [first, _] in blocks {
            bits.push_number((first >> 1) - previous);
            previous = first >> 1;
        }
    }));
    // All others, of which only one is not zero, and the end of the block.
    file.extend(scan(1, 63, 0x00, &|bits, blocks| {
        for [_, second] in blocks {
            if *second != 0 {
                bits.push_number(*second);
            }
            bits.push(0, 4);
        }
    }));
    // The last bit of the first ones.
    let last_scan = file.len();
    file.extend(scan(0, 0, 0x10, &|bits, blocks| {
        for [first, _] in blocks {
            bits.push(usize::from(first & 1 == 1), 1);
        }
    }));
    (file, last_scan)
}
