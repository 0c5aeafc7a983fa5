//! The inbox: files that are put into a folder or a bucket become imports, and are moved to `done/`, or to `failed/` with
//! the reason. The name of a file says its campaign and its coins. Only files with such names are touched.

mod bucket;
mod file_name;
mod folder;
mod inbox_file;
mod observations;
mod reason;
mod store;
mod watch;

pub use watch::{Inbox, watch_inbox};
