//! The tables of activity. One file per table.

pub mod active_people;
pub mod user_activity;
