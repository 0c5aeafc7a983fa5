//! Streams of changed imports.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};

use super::import::BonusImport;
use crate::bonuses::entity::imports::{self, Model};
use crate::bonuses::topics::imports_topic;
use crate::error::Result;
use crate::ids::BonusImportId;
use crate::platform::Platform;

const MIN_EVENT_INTERVAL: Duration = Duration::from_millis(250);
/// How long the end of an import counts as a change. Longer than any gap between two reads.
const RECENT: Duration = Duration::from_mins(10);

/// Waits after each state, so that changes in quick succession become one event. The last state is never left out.
pub fn at_most_four_a_second<T>(
    platform: Arc<Platform>,
    states: impl Stream<Item = T> + Send + 'static,
) -> impl Stream<Item = T> + Send + 'static {
    let states = (Box::pin(states), false);
    stream::unfold(states, move |(mut states, is_early)| {
        let platform = platform.clone();
        async move {
            if is_early {
                platform.clock.sleep_until(platform.now() + MIN_EVENT_INTERVAL).await;
            }
            let state = states.next().await?;
            Some((state, (states, true)))
        }
    })
}

/// Each import that has not ended, and then each import that has changed.
pub fn stream_changed_imports(
    platform: &Arc<Platform>,
) -> impl Stream<Item = Result<BonusImport>> + Send + use<> {
    let (reader, platform) = (platform.clone(), platform.clone());
    let states = platform.events.stream_states(imports_topic(), move || {
        let platform = reader.clone();
        async move {
            let since = platform.now() - RECENT;
            Ok(imports::find_recent(platform.database.reads(), since).await?)
        }
    });
    let mut last_state = None;
    at_most_four_a_second(platform.clone(), states).flat_map(move |state| {
        let changed = state.map(|imports| take_changed(&mut last_state, imports));
        let now = platform.now();
        let items: Vec<_> = match changed {
            Ok(rows) => rows.into_iter().map(|row| Ok(BonusImport::new(now, row))).collect(),
            Err(error) => vec![Err(error)],
        };
        stream::iter(items)
    })
}

/// The imports that differ from the last state, which `imports` replace. Without a last state: those that have not ended.
fn take_changed(
    last_state: &mut Option<HashMap<BonusImportId, Model>>,
    imports: Vec<Model>,
) -> Vec<Model> {
    let is_changed = |import: &&Model| match &*last_state {
        Some(last) => last.get(&import.id) != Some(*import),
        None => !import.status.is_final(),
    };
    let changed = imports.iter().filter(is_changed).cloned().collect();
    *last_state = Some(imports.into_iter().map(|import| (import.id, import)).collect());
    changed
}
