//! Purge of files that no import names: those of processes that ended between storing a file and inserting the import,
//! or between the end of an import and the deletion of its file.

use std::pin::pin;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt};

use super::entity::imports;
use super::start_import::FILES;
use crate::error::Result;
use crate::platform::Platform;
use crate::platform::clock::Timestamp;
use crate::platform::files::PrivateName;
use crate::platform::jobs::run_on_one_instance;

const JOB_NAME: &str = "purge_bonus_files";
const INTERVAL: Duration = Duration::from_hours(24);
/// A younger file may belong to an import whose row is not inserted yet.
const MAX_AGE: Duration = Duration::from_hours(24);
/// How many files are checked per query.
const BATCH_SIZE: usize = 1_000;

/// Deletes the files of imports that are older than a day and that no import names, when this instance gets the lease.
pub async fn purge_files(platform: &Platform) -> Result<Option<Timestamp>> {
    run_on_one_instance(platform, JOB_NAME, INTERVAL, async |_| {
        let now = platform.now();
        delete_unused(platform, now - MAX_AGE).await?;
        Ok(now + INTERVAL)
    })
    .await
}

async fn delete_unused(platform: &Platform, stored_before: Timestamp) -> Result<()> {
    let old = platform.files.list_group(FILES).try_filter_map(move |object| {
        std::future::ready(Ok((object.stored_at < stored_before).then_some(object.name)))
    });
    let mut old = pin!(old.try_chunks(BATCH_SIZE));
    while let Some(names) = old.next().await {
        let names: Vec<PrivateName> = names.map_err(|error| error.1)?;
        let used = imports::find_used_objects(platform.database.reads(), &names).await?;
        for name in names.iter().filter(|name| !used.contains(name)) {
            platform.files.delete(name).await?;
            tracing::info!("a file that no import names was deleted");
        }
    }
    Ok(())
}
