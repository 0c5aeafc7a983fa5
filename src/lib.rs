//! Switchboard: the backend of a phone-first game or app behind one GraphQL schema.

/// Accounts: sign-up, login, sessions, codes by SMS, the user's own profile, and deletion.
pub mod accounts;
/// GraphQL building blocks for resolvers: viewer, results, errors, paging, scalars.
pub mod api;
/// The application: everything that lives as long as the process.
pub mod app;
/// Avatars: upload, conversion into thumbnails, and who may see them.
pub mod avatars;
/// Bonuses: coins for the phone numbers of a file.
pub mod bonuses;
/// Coins: wallets and their ledger.
pub mod coins;
/// The command line: `serve`, `migrate`, `check` and the administrator's commands.
pub mod commands;
/// The configuration, from the environment and `switchboard.toml`.
pub mod config;
/// API connections: credentials of other services, and calls with them.
pub mod connections;
/// Contact lists, and the lookup of phone numbers.
pub mod contacts;
/// The dashboard of administrators, and the state of the system.
pub mod dashboard;
/// Demo data: made-up players and their past, for development.
pub mod demo;
/// Errors: the codes that clients get, and the error type of use cases.
pub mod error;
/// Games: provably fair rounds, their verification, and leaderboards.
pub mod games;
/// Typed ids with prefixes.
pub mod ids;
/// The background jobs.
mod jobs;
/// The SMS queue: sending through gateways, receipts, retries, and retention.
pub mod messages;
/// The users table: finding and registering users, and the profile that others see.
pub mod people;
/// The platform that features build on: database, clock, events, jobs, rate limits, files, outbound requests.
pub mod platform;
/// The GraphQL schema: merges the roots of all modules.
pub mod schema;
/// The HTTP server: GraphQL transports, OAuth, webhooks, files, health and metrics.
pub mod server;
