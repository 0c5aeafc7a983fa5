//! The tables of games.

pub mod rounds;
