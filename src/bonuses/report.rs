//! Report of the rejected lines of an import, as CSV (RFC 4180) that spreadsheets take for text.

use std::sync::Arc;

use futures_util::stream::{self, BoxStream, StreamExt};

use super::entity::imports;
use super::entity::rejected_lines::{self, Model};
use super::file::report_cell;
use crate::error::{Error, Result};
use crate::ids::BonusImportId;
use crate::platform::Platform;
use crate::platform::files::Bytes;

const HEADER: &str = "line,value,reason\r\n";
const PAGE_SIZE: u64 = 1_000;

/// The report of an import, page by page.
///
/// # Errors
/// NOT_FOUND
pub async fn read_report(
    platform: Arc<Platform>,
    id: Option<BonusImportId>,
) -> Result<BoxStream<'static, Result<Bytes>>> {
    let import = match id {
        Some(id) => imports::find(platform.database.reads(), id).await?,
        None => None,
    };
    let id = import.ok_or_else(|| Error::not_found("import"))?.id;
    let header = stream::once(async { Ok(Bytes::from_static(HEADER.as_bytes())) });
    let pages = stream::try_unfold(0, move |last_line| {
        let platform = platform.clone();
        async move {
            let db = platform.database.reporting();
            let page = rejected_lines::find_after(db, id, last_line, PAGE_SIZE).await?;
            let Some(last) = page.last() else { return Ok(None) };
            let last_line = last.line;
            let rows: String = page.iter().map(to_csv).collect();
            Ok(Some((Bytes::from(rows), last_line)))
        }
    });
    Ok(header.chain(pages).boxed())
}

fn to_csv(row: &Model) -> String {
    format!("{},{},{}\r\n", row.line, quoted(&report_cell(&row.masked_value)), row.reason)
}

fn quoted(cell: &str) -> String {
    format!("\"{}\"", cell.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn cells_are_quoted_and_are_no_formulas() {
        let row = |masked_value: &str| Model {
            import_id: Uuid::nil().into(),
            line: 7,
            masked_value: masked_value.to_owned(),
            reason: "TOO_SHORT".to_owned(),
        };
        for (value, line) in [
            ("", "7,\"\",TOO_SHORT\r\n"),
            ("ab•cd", "7,\"ab•cd\",TOO_SHORT\r\n"),
            ("a\"•,b", "7,\"a\"\"•,b\",TOO_SHORT\r\n"),
            ("+3••78", "7,\"'+3••78\",TOO_SHORT\r\n"),
            ("=H••)", "7,\"'=H••)\",TOO_SHORT\r\n"),
        ] {
            assert_eq!(to_csv(&row(value)), line);
        }
    }
}
