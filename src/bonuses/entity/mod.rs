//! Tables of the bonuses module.

pub mod bonuses;
pub mod campaigns;
pub mod imports;
pub mod leads;
pub mod number_keys;
pub mod rejected_lines;
