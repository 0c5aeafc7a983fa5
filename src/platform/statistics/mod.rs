//! Statistics: sums of what happens, by measure, dimension and hour.
//!
//! Who causes an event records it in the same transaction, as a row of its own: no writer waits for another's counter.
//! A job folds these rows into sums by hour, day and month; whatever commits late is folded late, and once. Reads add
//! the rows that are not folded yet, so they are exact at any moment.

mod bucket;
mod correct;
mod delta;
mod entity;
mod fold;
mod pages;
mod read;
mod record;

pub use bucket::{Bucket, Piece, split_range};
pub use correct::{
    Difference, Source, add_differences, add_to_sums, find_differences, find_sum_differences,
};
pub use delta::Delta;
pub use fold::fold;
pub use read::{
    Column, Sums, count_changes, read_series, read_sums, read_totals_of_all_time, start_of,
};
pub use record::record;
