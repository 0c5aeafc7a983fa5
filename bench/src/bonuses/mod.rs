//! What the benchmarks of bonus imports share: files of phone numbers, their owners, the client that uploads them, the
//! database as seen from outside, and raw SQL that writes the same rows.

pub mod audit;
pub mod database;
pub mod floor;
pub mod importer;
pub mod number_file;
pub mod numbers;
pub mod side_load;
