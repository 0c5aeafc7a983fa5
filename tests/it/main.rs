//! The tests of the whole program, through its public doors.

mod support;

mod commands;
mod contacts;
mod database;
mod docs;
mod edge;
mod login;
mod lookup;
mod schema;
mod sessions;
mod signup;
mod tokens;
mod walls;
