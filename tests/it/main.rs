//! The tests of the whole program, through its public doors.

mod support;

mod avatars;
mod avatars_live;
mod closings;
mod codes;
mod coins;
mod commands;
mod console;
mod contacts;
mod cors;
mod crashes;
mod database;
mod deletion;
mod delivery;
mod docs;
mod documents;
mod edge;
mod events;
mod games;
mod jobs;
mod kills;
mod legacy;
mod listener;
#[path = "../live/schema.rs"]
mod live;
mod login;
mod lookup;
mod messages;
mod oauth;
mod operators;
mod passwords;
mod persisted;
mod profile;
mod receipts;
mod schema;
mod second_factor;
mod sessions;
mod signup;
mod sockets;
mod streaming;
mod tokens;
mod uploads;
mod walls;
