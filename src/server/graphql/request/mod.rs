//! The request: its parameters, who sends it, which responses it accepts, persisted documents, and the limit of
//! concurrent streams and uploads.

pub mod accept;
pub mod concurrency_limiter;
pub mod parameters;
pub mod persisted_documents;
pub mod requester;
