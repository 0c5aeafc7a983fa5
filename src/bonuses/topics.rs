//! Event topics of imports.

use crate::ids::BonusImportId;
use crate::platform::database::Work;

/// The topic of one import.
pub fn import_topic(id: BonusImportId) -> String {
    format!("bonus-import:{id}")
}

/// The topic of all imports.
pub fn imports_topic() -> String {
    "bonus-imports".to_owned()
}

/// Publishes a change of an import after the commit.
pub fn publish_import(work: &Work, id: BonusImportId) {
    work.publish(import_topic(id));
    work.publish(imports_topic());
}
