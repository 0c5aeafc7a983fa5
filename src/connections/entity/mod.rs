//! The tables of connections.

pub mod calls;
pub mod connections;
pub mod mappings;
